//! Scenarios: data, not code.

use crate::error::{BadScenario, WrongKey, nearest};
use crate::model::Model;
use crate::shelf::OURS;

/// A question for the lab: settings, and the policies to compare under them.
#[derive(Clone, Debug)]
pub struct Scenario {
    pub(crate) name: String,
    pub(crate) about: String,
    pub(crate) show: Vec<String>,
    pub(crate) base: Model,
    pub(crate) policies: Vec<Policy>,
    pub(crate) vary: Option<(String, Vec<String>)>,
}

#[derive(Clone, Debug)]
pub(crate) struct Policy {
    pub(crate) name: String,
    pub(crate) settings: Vec<(String, String)>,
}

/// One policy under one variant of the settings.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Case {
    /// The policy's name, then the variant.
    pub name: String,
    /// All settings.
    pub model: Model,
}

impl Scenario {
    /// The scenarios that come with the lab.
    ///
    /// # Panics
    ///
    /// Never: a test reads every one of them.
    pub fn all() -> impl Iterator<Item = Self> {
        OURS.iter().map(|(_, text)| Self::from_toml(text).expect("a test reads every one of them"))
    }

    /// One of them.
    ///
    /// # Errors
    ///
    /// When there is none of this name.
    pub fn named(name: &str) -> Result<Self, BadScenario> {
        let known = OURS.iter().find(|(known, _)| *known == name);
        let (_, text) = known.ok_or_else(|| BadScenario::Unknown {
            name: name.to_owned(),
            nearest: nearest(name, OURS.iter().map(|(known, _)| *known)),
        })?;
        Self::from_toml(text)
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What it asks.
    pub fn about(&self) -> &str {
        &self.about
    }

    /// The figures that tell most about it.
    pub fn show(&self) -> &[String] {
        &self.show
    }

    /// The names of its policies.
    pub fn policies(&self) -> impl Iterator<Item = &str> {
        self.policies.iter().map(|policy| policy.name.as_str())
    }

    /// A setting that all policies share, as it is written; nothing when there is no such key.
    pub fn setting(&self, key: &str) -> Option<String> {
        self.base.get(key)
    }

    /// Changes one setting for all policies.
    ///
    /// A policy's own settings stand. Only when `key` is what the policies are told apart by
    /// (`budget` or `backoff`) they give way to a single policy, named `set`. A key that the
    /// scenario varies no longer varies.
    ///
    /// # Errors
    ///
    /// When there is no such key, or when it does not take the value.
    pub fn set(&mut self, key: &str, value: &str) -> Result<(), WrongKey> {
        self.base.set(key, value)?;
        let own = |policy: &Policy| policy.settings.iter().any(|(own, _)| own == key);
        if TOLD_APART_BY.contains(&key) && self.policies.iter().any(own) {
            self.policies = vec![Policy::as_set()];
        }
        self.vary.take_if(|(varied, _)| varied == key);
        Ok(())
    }

    /// Keeps these of its policies.
    ///
    /// # Errors
    ///
    /// When there is none of one of these names.
    pub fn keep(&mut self, names: &[impl AsRef<str>]) -> Result<(), BadScenario> {
        let known: Vec<&str> = self.policies().collect();
        let unknown = names.iter().find(|name| !known.contains(&name.as_ref()));
        if let Some(unknown) = unknown {
            return Err(BadScenario::Policy {
                name: unknown.as_ref().to_owned(),
                known: known.join(", "),
            });
        }
        let is_kept = |policy: &Policy| names.iter().any(|name| name.as_ref() == policy.name);
        self.policies.retain(is_kept);
        Ok(())
    }

    /// One more policy to compare: what it sets, it sets for itself.
    ///
    /// # Errors
    ///
    /// When there is no such key, or when it does not take the value.
    pub fn add(&mut self, name: &str, settings: &[(String, String)]) -> Result<(), WrongKey> {
        let mut model = self.base.clone();
        for (key, value) in settings {
            model.set(key, value)?;
        }
        self.policies.push(Policy { name: name.to_owned(), settings: settings.to_vec() });
        Ok(())
    }

    /// Every policy under every variant, checked.
    ///
    /// # Errors
    ///
    /// When settings contradict each other.
    pub fn cases(&self) -> Result<Vec<Case>, BadScenario> {
        let cases = self.try_all()?;
        for case in &cases {
            case.model.check()?;
        }
        Ok(cases)
    }

    pub(crate) fn try_all(&self) -> Result<Vec<Case>, BadScenario> {
        let mut cases = Vec::new();
        for policy in &self.policies {
            let mut model = self.base.clone();
            for (key, value) in &policy.settings {
                model.set(key, value)?;
            }
            let Some((key, values)) = &self.vary else {
                let name = policy.name.clone();
                cases.push(Case { name, model });
                continue;
            };
            for value in values {
                let mut model = model.clone();
                model.set(key, value)?;
                let name = format!("{} {key}={value}", policy.name);
                cases.push(Case { name, model });
            }
        }
        Ok(cases)
    }
}

impl Policy {
    /// The scenario's own settings, and what was set from outside.
    pub(crate) fn as_set() -> Self {
        Self { name: "set".to_owned(), settings: Vec::new() }
    }
}

const TOLD_APART_BY: [&str; 2] = ["budget", "backoff"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_scenario_of_ours_can_be_run() {
        assert_eq!(Scenario::all().count(), OURS.len());
        for (scenario, (name, _)) in Scenario::all().zip(OURS) {
            assert_eq!(scenario.name(), name);
            assert!(!scenario.cases().unwrap().is_empty());
        }
    }

    #[test]
    fn a_policys_own_settings_stand() {
        let mut scenario = Scenario::named("article").unwrap();
        scenario.set("attempts", "5").unwrap();
        let attempts: Vec<_> = scenario
            .cases()
            .unwrap()
            .iter()
            .map(|case| (case.name.clone(), case.model.get("attempts").unwrap()))
            .collect();
        assert!(attempts.contains(&("none".into(), "1".into())), "{attempts:?}");
        assert!(attempts.contains(&("aplomb".into(), "5".into())), "{attempts:?}");
    }

    #[test]
    fn setting_what_policies_are_told_apart_by_leaves_one() {
        let mut scenario = Scenario::named("article").unwrap();
        scenario.set("budget", "tower").unwrap();
        let cases = scenario.cases().unwrap();
        assert_eq!(cases.len(), 1);
        assert_eq!(cases[0].model.get("budget").unwrap(), "tower");
    }

    #[test]
    fn setting_what_varies_ends_the_varying() {
        let mut scenario = Scenario::named("fleet-size").unwrap();
        let before = scenario.cases().unwrap().len();
        scenario.set("clients", "50").unwrap();
        assert!(scenario.cases().unwrap().len() < before);
    }

    #[test]
    fn a_wrong_file_is_refused_with_the_reason() {
        for (text, why) in [
            ("name = 'a'", "about"),
            ("name='a'\nabout='b'\n[set]\nclinets=3", "`clients`"),
            ("name='a'\nabout='b'\n[set]\nclients=0", "from 1"),
            ("name='a'\nabout='b'\nshow=['p98']", "`p9"),
            ("name='a'\nabout='b'\n[[policy]]\nattempts=3", "name"),
            ("name='a'\nabout='b'\n[[policy]]\nname='x'\nbudget='y'", "per-call"),
            ("name='a'\nabout='b'\n[vary]\nclients=3", "list"),
            ("name='a'\nabout='b'\n[surplus]\nx=3", "surplus"),
        ] {
            let error = Scenario::from_toml(text).unwrap_err().to_string();
            assert!(error.contains(why), "{text}: {error}");
        }
    }

    #[test]
    fn an_unknown_scenario_names_the_nearest() {
        let error = Scenario::named("artcle").unwrap_err().to_string();
        assert!(error.contains("`article`"), "{error}");
    }
}
