//! An operation of a policy file.

use std::sync::Arc;

use aplomb_core::OperationClass;

use super::super::answers::{BudgetTerms, Repeat, WhenExhausted};
use super::super::builder::PolicyBuilder;
use super::super::operation::Operation;
use super::super::question::{Open, Question};
use super::super::value::Policy;
use super::answers::answers;
use super::exhausted::{Fallback, when_exhausted};
use super::matches::matches;
use super::reader::Reader;
use super::scalar::label;
use super::section::Section;

/// What an operation needs to know of what stands around it.
pub(crate) struct Around<'a> {
    /// The service's name.
    pub(crate) me: &'a str,
    /// What people call the dependency: `dependency.inventory`.
    pub(crate) dependency: &'a str,
    pub(crate) budget: Option<BudgetTerms>,
    /// Whether the dependency has a budget, though nobody can read it.
    pub(crate) budget_is_wrong: bool,
}

pub(crate) fn operation(
    reader: &mut Reader<'_>,
    around: &Around<'_>,
    name: &str,
    mut section: Section<'_>,
    fallbacks: &mut Vec<Fallback>,
) -> Option<Operation> {
    let is_named = label(reader, &section.at, "an operation", name);
    let matches = matches(reader, &mut section);
    let calls_per_second = section.rate(reader, "calls_per_second");
    let mut builder = answers(reader, around.me, &mut section);
    if let Some(then) = when_exhausted(reader, &mut section, fallbacks) {
        builder = builder.when_exhausted(then);
    }
    if let Some(terms) = around.budget {
        builder = builder.budget(terms);
    }
    if Operation::any_is_unsafe(&matches) {
        builder = builder.of_unsafe_method();
    }
    left_open(reader, around, &section, &builder);
    let policy = builder.build().ok();
    if let Some(policy) = &policy {
        contradictions(reader, &section, policy);
    }
    let marks = section.end(reader);
    let (name, policy) = (Arc::from(name), Arc::new(policy?));
    is_named.then_some(Operation { name, matches, calls_per_second, policy, marks })
}

/// Refuses an operation that leaves a question open, once for each question.
fn left_open(
    reader: &mut Reader<'_>,
    around: &Around<'_>,
    section: &Section<'_>,
    builder: &PolicyBuilder,
) {
    // A class that nobody knows has no preset, and would leave all questions open.
    let is_class_wrong = section.has("class") && !builder.has_class();
    if is_class_wrong {
        return;
    }
    let is_wrong = |open: &Open| match open.missing {
        // Written, and refused already.
        "budget" => around.budget_is_wrong,
        "repeat" | "key" => section.has("repeat") || section.has("key"),
        "alert" => section.has("observe") && !is_empty_observe(section),
        written => section.has(written),
    };
    let open: Vec<Open> = builder.open().into_iter().filter(|open| !is_wrong(open)).collect();
    for question in Question::ALL {
        let missing: Vec<&str> =
            open.iter().filter(|open| open.question == question).map(|open| open.missing).collect();
        let Some(first) = missing.first() else { continue };
        let keys = missing.join("`, `");
        let mend = match *first {
            "budget" => format!("write `budget = {{ ratio = 0.2 }}` in [{}]", around.dependency),
            "alert" => "write `observe = { alert = \"retry_exhausted_total\" }`".to_owned(),
            "key" => {
                "write `key = { from = \"order line\", kept = \"24h\" }`, or `repeat`".to_owned()
            }
            _ => format!("write `{keys}`, or a `class` whose preset answers"),
        };
        let what = format!("`{}` leaves open: {question}", section.name);
        reader.refuse(&section.at, what, mend);
    }
}

fn is_empty_observe(section: &Section<'_>) -> bool {
    section.is_empty_table("observe")
}

/// Refuses answers that do not go together.
fn contradictions(reader: &mut Reader<'_>, section: &Section<'_>, policy: &Policy) {
    let class = policy.class();
    let writes = matches!(
        class,
        OperationClass::KeyedWrite | OperationClass::Confirm | OperationClass::Deferred
    );
    let wrong = match policy.when_exhausted() {
        WhenExhausted::DeadLetter { .. } if class != OperationClass::Deferred => Some((
            "somebody waits for it, and a dead letter answers nobody",
            "make its class `deferred`, or answer `pending` or `fail`",
        )),
        WhenExhausted::DeadLetter { .. } if policy.key().is_none() => Some((
            "a dead letter is sent again later, and nothing keeps that from running twice",
            "give it a `key`, or answer `fail`",
        )),
        WhenExhausted::LastGood { .. } if writes => Some((
            "the last good answer of a write says nothing about this one",
            "answer `pending` or `fail`",
        )),
        WhenExhausted::Drop if class != OperationClass::BestEffort => Some((
            "only what is best-effort may be dropped",
            "make its class `best-effort`, or answer `fail`",
        )),
        WhenExhausted::Pending { .. } if matches!(policy.repeat(), Repeat::Never) => Some((
            "what is pending is sent again, and this is never safe to repeat",
            "answer `fail`, or say how it is made safe",
        )),
        _ => None,
    };
    if let Some((what, mend)) = wrong {
        let at = section.span_of("when_exhausted");
        let name = policy.when_exhausted().as_str();
        reader.refuse(&at, format!("`{}` cannot end as `{name}`: {what}", section.name), mend);
    }
}
