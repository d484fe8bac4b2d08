use super::super::duration::shown;
use super::finding::{Code, Finding, Severity};
use super::site::Site;

/// A key whose lifetime is shorter than retries plus the redrive horizon.
///
/// A key that is forgotten runs again.
pub(crate) fn check(site: &Site<'_>) -> Option<Finding> {
    let policy = site.policy();
    let kept = policy.key()?.kept();
    let (retries, later) = (policy.total(), policy.when_exhausted().sent_again_for());
    let used = retries.saturating_add(later);
    if kept >= used {
        return None;
    }
    let what = format!(
        "the key is kept for {}, and used for {}: {} of retries and {} of `{}` after them",
        shown(kept),
        shown(used),
        shown(retries),
        shown(later),
        policy.when_exhausted().as_str(),
    );
    let mend = format!("keep it for at least \"{}\", or end its use earlier", shown(used));
    Some(
        site.finding((Code::KeyTooShort, Severity::Error), "key", what, mend)
            .numbers([("kept_seconds", kept.as_secs_f64()), ("used_seconds", used.as_secs_f64())]),
    )
}
