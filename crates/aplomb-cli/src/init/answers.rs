use std::collections::BTreeMap;
use std::time::Duration;

use aplomb::policy::{Key, Policy};
use aplomb_core::OperationClass;

/// What was answered so far, by flag.
#[derive(Clone, Debug, Default)]
pub(crate) struct Answers {
    said: BTreeMap<&'static str, String>,
    /// What was said before it was asked again.
    before: BTreeMap<&'static str, String>,
}

impl Answers {
    pub(crate) fn give(&mut self, flag: &'static str, answer: &str) {
        self.said.insert(flag, answer.trim().to_owned());
    }

    /// What was answered; nothing where the answer is empty.
    pub(crate) fn get(&self, flag: &str) -> Option<&str> {
        self.said.get(flag).map(String::as_str).filter(|answer| !answer.is_empty())
    }

    pub(crate) fn is_given(&self, flag: &str) -> bool {
        self.said.contains_key(flag)
    }

    pub(crate) fn before(&self, flag: &str) -> Option<&str> {
        self.before.get(flag).map(String::as_str)
    }

    /// All questions are open again; the answers are remembered.
    pub(crate) fn ask_again(&mut self) {
        self.before = std::mem::take(&mut self.said);
    }

    /// The preset of the class that was named; of a confirmation's, the safe end, when nobody knows
    /// the class.
    pub(crate) fn preset(&self) -> Policy {
        let named = self.get("class").unwrap_or_default();
        let class = OperationClass::ALL.iter().find(|class| class.as_str() == named);
        let class = class.copied().unwrap_or(OperationClass::Confirm);
        let key = Key::new("", Duration::ZERO);
        Policy::preset(class).key(key).build().expect("with a key every preset is whole")
    }

    /// Whether a call may have more than one attempt.
    pub(crate) fn retries(&self) -> bool {
        self.get("attempts") != Some("1")
    }
}
