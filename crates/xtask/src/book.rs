use crate::report::Report;
use crate::steps::{Line, Step};

/// Builds the book, with every link walked; its code and its claims are the tests' to check.
pub(crate) fn run(report: &mut Report) {
    report.run(&step());
    println!("\nopen target/book/index.html");
}

/// The step for whoever runs more than this.
pub(crate) fn step() -> Step {
    let build = Line::cargo(&["run", "--quiet", "--package", "aplomb-book"]);
    Step::new("book", [build])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_book_is_built_by_a_line_that_a_person_can_type() {
        assert_eq!(step().lines[0].to_string(), "cargo run --quiet --package aplomb-book");
    }
}
