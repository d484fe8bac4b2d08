use std::fmt::{self, Write};

use super::super::file::PolicyFile;
use super::{Sheet, sheets};

/// The sheets of a file as one self-contained page of HTML, which prints one sheet a page.
#[must_use]
pub fn html(file: &PolicyFile) -> String {
    let mut page = String::new();
    // Writing to a string cannot fail.
    let _ = write(&mut page, file);
    page
}

fn write(page: &mut String, file: &PolicyFile) -> fmt::Result {
    let service = escaped(file.service().name());
    writeln!(page, "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">")?;
    writeln!(page, "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">")?;
    writeln!(page, "<title>Decision sheets of {service}</title>")?;
    writeln!(page, "<style>{STYLE}</style>\n</head>\n<body>\n<h1>{service}</h1>")?;
    for one in sheets(file) {
        sheet(page, &one)?;
    }
    page.push_str("</body>\n</html>\n");
    Ok(())
}

fn sheet(page: &mut String, sheet: &Sheet) -> fmt::Result {
    let (title, about) = (escaped(&sheet.title), escaped(&sheet.about));
    writeln!(page, "<article>\n<h2>{title}</h2>\n<p>{about}</p>\n<ol>")?;
    for (question, answer) in &sheet.answers {
        writeln!(page, "<li><b>{question}</b><br>{}</li>", escaped(answer))?;
    }
    writeln!(page, "</ol>\n<table>\n<caption>Worst cases</caption>")?;
    for (name, value) in &sheet.numbers {
        writeln!(page, "<tr><th scope=\"row\">{name}</th><td>{}</td></tr>", escaped(value))?;
    }
    writeln!(page, "</table>")?;
    if sheet.findings.is_empty() {
        return writeln!(page, "<p>The lint finds nothing.</p>\n</article>");
    }
    writeln!(page, "<h3>Findings</h3>\n<ul>")?;
    for finding in &sheet.findings {
        let (code, severity) = (finding.code, finding.severity.as_str());
        let (what, mend) = (escaped(&finding.what), escaped(&finding.mend));
        writeln!(page, "<li class=\"{severity}\"><code>{code}</code> {what}<br>Mend: {mend}</li>")?;
    }
    writeln!(page, "</ul>\n</article>")
}

/// A text that means nothing to a browser.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            c => escaped.push(c),
        }
    }
    escaped
}

const STYLE: &str = "
:root { color-scheme: light dark; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 44rem; margin: 2rem auto; padding: 0 1rem; }
article { border-top: 1px solid; margin-top: 2rem; }
li { margin: .5rem 0; }
table { border-collapse: collapse; }
caption { text-align: left; font-weight: bold; }
th { text-align: left; font-weight: normal; padding: .1rem 2rem .1rem 0; }
td { font-variant-numeric: tabular-nums; }
.error { border-left: 3px solid; padding-left: .5rem; }
@media print { article { break-after: page; border: 0; } h1 { display: none; } }
";
