use std::io::{self, IsTerminal, Write, stdin};

use super::answers::Answers;
use super::topics::{Default, TOPICS, Topic};
use crate::failure::Failure;

/// Whether a person answers.
pub(crate) fn is_terminal() -> bool {
    stdin().is_terminal()
}

/// Asks what is not answered yet.
pub(crate) fn ask(
    answers: &mut Answers,
    lines: &mut impl Iterator<Item = io::Result<String>>,
    screen: &mut impl Write,
) -> Result<(), Failure> {
    let mut heading = None;
    for topic in TOPICS {
        if answers.is_given(topic.flag) || !(topic.applies)(answers) {
            continue;
        }
        if topic.question.is_some() && topic.question != heading {
            heading = topic.question;
            let title = heading.map(|question| format!("\n{question}\n")).unwrap_or_default();
            show(screen, &title)?;
        }
        let answer = until_answered(answers, topic, lines, screen)?;
        answers.give(topic.flag, &answer);
    }
    Ok(())
}

fn until_answered(
    answers: &Answers,
    topic: &Topic,
    lines: &mut impl Iterator<Item = io::Result<String>>,
    screen: &mut impl Write,
) -> Result<String, Failure> {
    let default = default(answers, topic);
    loop {
        let shown = default.as_deref().filter(|default| !default.is_empty());
        let shown = shown.map(|default| format!(" [{default}]")).unwrap_or_default();
        show(screen, &format!("  {}{shown} ", topic.asks))?;
        let line = match lines.next() {
            Some(Ok(line)) => line,
            Some(Err(error)) => {
                return Err(Failure::Environment(format!("cannot read an answer: {error}")));
            }
            None => return Err(unanswered(topic)),
        };
        match (line.trim(), &default) {
            ("", Some(default)) => return Ok(default.clone()),
            ("", None) => show(screen, "  This one has no default.\n")?,
            (answer, _) => return Ok(answer.to_owned()),
        }
    }
}

/// Answers what is not answered yet by its default.
pub(crate) fn take_defaults(answers: &mut Answers) -> Result<(), Failure> {
    for topic in TOPICS {
        if answers.is_given(topic.flag) || !(topic.applies)(answers) {
            continue;
        }
        let default = default(answers, topic).ok_or_else(|| unanswered(topic))?;
        answers.give(topic.flag, &default);
    }
    Ok(())
}

/// What was said before it was asked again, else the topic's own.
fn default(answers: &Answers, topic: &Topic) -> Option<String> {
    if let Some(before) = answers.before(topic.flag) {
        return Some(before.to_owned());
    }
    match topic.default {
        Default::None => None,
        Default::Empty => Some(String::new()),
        Default::Of(default) => Some(default(answers)),
    }
}

fn unanswered(topic: &Topic) -> Failure {
    let question = topic.question.map(|question| format!(" ({question})")).unwrap_or_default();
    Failure::usage(format!("--{} is not answered{question}: {}", topic.flag, topic.asks))
}

fn show(screen: &mut impl Write, text: &str) -> Result<(), Failure> {
    let shown = screen.write_all(text.as_bytes()).and_then(|()| screen.flush());
    shown.map_err(|error| Failure::Environment(format!("cannot ask: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dialogue(
        given: &[(&'static str, &str)],
        typed: &str,
    ) -> (Result<(), Failure>, Answers, String) {
        let mut answers = Answers::default();
        for (flag, answer) in given {
            answers.give(flag, answer);
        }
        let mut screen = Vec::new();
        let mut lines = typed.lines().map(|line| Ok(line.to_owned()));
        let asked = ask(&mut answers, &mut lines, &mut screen);
        (asked, answers, String::from_utf8(screen).unwrap())
    }

    #[test]
    fn an_empty_line_takes_the_default_and_what_has_none_is_asked_again() {
        let typed = format!("\nshop\n\n\nstock\n\n\nlook\n{}", "\n".repeat(30));
        let (asked, answers, screen) = dialogue(&[], &typed);
        assert!(asked.is_ok());
        assert_eq!(answers.get("service"), Some("shop"));
        assert_eq!(answers.get("class"), Some("read"));
        assert_eq!(answers.get("total"), Some("800ms"));
        assert_eq!(screen.matches("has no default").count(), 1, "{screen}");
        for question in aplomb::policy::Question::ALL {
            assert_eq!(screen.matches(question.as_str()).count(), 1, "{screen}");
        }
    }

    #[test]
    fn what_a_flag_answers_is_not_asked() {
        let given = [("service", "shop"), ("dependency", "stock"), ("operation", "look")];
        let (asked, _, screen) = dialogue(&given, &"\n".repeat(30));
        assert!(asked.is_ok());
        assert!(!screen.contains("Who makes the calls"), "{screen}");
    }

    #[test]
    fn answers_that_end_early_leave_a_question_open_by_name() {
        let (asked, ..) = dialogue(&[("service", "shop")], "\n\nstock\n");
        let said = asked.unwrap_err().to_string();
        assert!(said.contains("--authority is not answered"), "{said}");
    }
}
