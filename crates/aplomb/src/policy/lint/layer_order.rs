use super::super::dependency::Dependency;
use super::super::file::PolicyFile;
use super::super::layers::Placed;
use super::finding::{Code, Finding, Severity};
use super::site::about;

/// Layers around a client in an order that undoes what they are for.
pub(crate) fn check(file: &PolicyFile, dependency: &Dependency) -> Option<Finding> {
    let (what, mend, place) = misplaced(dependency.terms().layers.as_deref()?)?;
    let code = (Code::LayerOrder, Severity::Error);
    let finding = about(file, dependency, code, "layers", what, mend);
    Some(finding.numbers([("place", place)]))
}

/// The same of the service's own server.
pub(crate) fn of_service(file: &PolicyFile) -> Vec<Finding> {
    let layers = file.service().layers();
    let misplaced = layers.and_then(misplaced);
    let finding = misplaced.map(|(what, mend, place)| Finding {
        code: Code::LayerOrder,
        severity: Severity::Error,
        file: file.name().into(),
        at: file.service().marks.of("layers"),
        dependency: None,
        operation: None,
        what,
        mend,
        numbers: vec![("place", place)],
    });
    finding.into_iter().collect()
}

/// The first layer that stands inside of one that belongs inside of it: what that does, the mend,
/// and the layer's place.
fn misplaced<L: Placed>(layers: &[L]) -> Option<(String, String, f64)> {
    let place = layers.windows(2).position(|pair| pair[0] > pair[1])?;
    let (outer, inner) = (layers[place], layers[place + 1]);
    let what = format!(
        "`{}` stands around `{}`, which belongs around it: {}",
        outer.word(),
        inner.word(),
        inner.harm(),
    );
    let mut sorted = layers.to_vec();
    sorted.sort_unstable();
    let words: Vec<String> = sorted.iter().map(|layer| format!("\"{}\"", layer.word())).collect();
    let mend = format!("write layers = [{}]", words.join(", "));
    let place = u32::try_from(place + 1).unwrap_or(u32::MAX);
    Some((what, mend, f64::from(place)))
}
