//! The matrix that the facade's documentation prints is the one that is tested.

const MATRIX: &str = include_str!("../../../crates/aplomb/figures/matrix.md");

/// The columns, as in the table.
const COLUMNS: [&str; 5] = [
    include_str!("axum_router.rs"),
    include_str!("hyper_server.rs"),
    include_str!("reqwest_client.rs"),
    include_str!("hyper_client.rs"),
    include_str!("tonic_channel.rs"),
];

/// The rows, as in the table, with what the names of their tests begin with.
const ROWS: [(&str, &str); 12] = [
    ("`ProblemLayer`", "problems_"),
    ("`DeadlineLayer::inherit`", "inherit_"),
    ("`IdempotencyLayer`", "idempotency_"),
    ("`DeadlineLayer::total`", "deadline_total_"),
    ("`DeadlineLayer::attempt`", "deadline_attempt_"),
    ("`RetryLayer`", "retry_"),
    ("`BackoffLayer`", "backoff_"),
    ("`CircuitBreakerLayer`", "breaker_"),
    ("`AdmissionLayer`", "admission_"),
    ("`FallbackLayer`", "fallback_"),
    ("`KeyLayer`", "key_"),
    ("`Chaos::edge`", "chaos_edge_"),
];

#[test]
fn the_docs_print_what_is_tested() {
    let printed: Vec<Vec<&str>> = MATRIX
        .lines()
        .skip(2)
        .map_while(|line| line.strip_prefix('|'))
        .map(|line| line.trim_end_matches('|').split('|').map(str::trim).collect())
        .collect();
    assert_eq!(printed.len(), ROWS.len());
    for ((name, prefix), cells) in ROWS.into_iter().zip(printed) {
        assert_eq!((cells[0], cells.len()), (name, 1 + COLUMNS.len()));
        for (column, cell) in COLUMNS.into_iter().zip(&cells[1..]) {
            let is_tested = column.contains(&format!("async fn {prefix}"));
            assert_eq!(cell.starts_with('✓'), is_tested, "{name}: {cells:?}");
            assert_eq!(cell.starts_with('–'), !is_tested, "{name}: {cells:?}");
        }
    }
}

#[test]
fn no_cell_writes_a_type_where_layers_are_put_together() {
    for column in COLUMNS.into_iter().chain([include_str!("inside.rs")]) {
        let uses = column.split("ServiceBuilder::new()").skip(1);
        let written = uses.filter_map(|rest| rest.split(';').next()).filter(|stack| {
            let stack = stack.replace("translate::<TimeoutExpired, ConnectError>", "");
            stack.contains("::<")
        });
        assert_eq!(written.collect::<Vec<_>>(), Vec::<&str>::new());
        assert!(!column.contains("let client:") && !column.contains("let server:"));
        assert!(!column.contains("let router:"));
    }
}
