//! Reads scenario files.

use serde::Deserialize;

use crate::error::{BadScenario, WrongKey, nearest};
use crate::figures;
use crate::model::Model;
use crate::scenario::{Policy, Scenario};
use crate::shelf::COMPARED;

/// A scenario file as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    name: String,
    about: String,
    #[serde(default)]
    show: Vec<String>,
    compare: Option<Compare>,
    #[serde(default)]
    set: toml::Table,
    #[serde(default)]
    vary: toml::Table,
    #[serde(default)]
    policy: Vec<toml::Table>,
}

/// The policies that most scenarios compare.
#[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Compare {
    /// What callers may do.
    Callers,
    /// And what the server may.
    All,
}

/// The list of them.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Compared {
    caller: Vec<toml::Table>,
    server: Vec<toml::Table>,
}

impl Scenario {
    /// Reads a scenario file.
    ///
    /// # Errors
    ///
    /// When it is not TOML, or when it has a key or a value that no model takes.
    pub fn from_toml(text: &str) -> Result<Self, BadScenario> {
        let file: File = read(text)?;
        let mut base = Model::default();
        for (key, value) in settings(&file.set)? {
            base.set(&key, &value)?;
        }
        if let Some(unknown) = file.show.iter().find(|name| figures::place(name).is_none()) {
            let known = figures::figures().iter().map(|figure| figure.name);
            return Err(BadScenario::Key(WrongKey::Unknown {
                key: unknown.clone(),
                nearest: nearest(unknown, known),
            }));
        }
        let mut policies = compared(file.compare)?;
        policies.extend(file.policy);
        let mut scenario = Self {
            name: file.name,
            about: file.about,
            show: file.show,
            base,
            policies: policies.iter().map(policy).collect::<Result<_, _>>()?,
            vary: vary(&file.vary)?,
        };
        if scenario.policies.is_empty() {
            scenario.policies.push(Policy::as_set());
        }
        scenario.try_all()?;
        Ok(scenario)
    }
}

fn read<T: serde::de::DeserializeOwned>(text: &str) -> Result<T, BadScenario> {
    toml::from_str(text).map_err(|error| BadScenario::Toml(error.to_string()))
}

fn compared(compare: Option<Compare>) -> Result<Vec<toml::Table>, BadScenario> {
    let Some(compare) = compare else { return Ok(Vec::new()) };
    let mut list: Compared = read(COMPARED)?;
    if compare == Compare::All {
        list.caller.append(&mut list.server);
    }
    Ok(list.caller)
}

fn policy(table: &toml::Table) -> Result<Policy, BadScenario> {
    let mut table = table.clone();
    let Some(toml::Value::String(name)) = table.remove("name") else {
        return Err(BadScenario::Toml("a [[policy]] has no `name`".to_owned()));
    };
    let settings = settings(&table)?;
    Ok(Policy { name, settings })
}

fn vary(table: &toml::Table) -> Result<Option<(String, Vec<String>)>, BadScenario> {
    let mut keys = table.iter();
    let Some((key, values)) = keys.next() else {
        return Ok(None);
    };
    match values {
        toml::Value::Array(values) if keys.next().is_none() && !values.is_empty() => {
            let values = values.iter().map(|value| plain(key, value));
            Ok(Some((key.clone(), values.collect::<Result<_, _>>()?)))
        }
        _ => Err(BadScenario::Toml("[vary] takes one key with a list of values".to_owned())),
    }
}

fn settings(table: &toml::Table) -> Result<Vec<(String, String)>, BadScenario> {
    table.iter().map(|(key, value)| Ok((key.clone(), plain(key, value)?))).collect()
}

fn plain(key: &str, value: &toml::Value) -> Result<String, BadScenario> {
    match value {
        toml::Value::String(text) => Ok(text.clone()),
        toml::Value::Integer(number) => Ok(number.to_string()),
        toml::Value::Float(number) => Ok(number.to_string()),
        _ => Err(BadScenario::Toml(format!("`{key}` takes a string or a number"))),
    }
}
