//! The text: sections that hold something, comments that fit a screen.

/// How long a line of a comment is at most, the mark included.
const WIDTH: usize = 100;

/// A file being written.
#[derive(Default)]
pub(super) struct Page {
    text: String,
    /// The head of a section in which nothing stands yet.
    pending: Option<String>,
    /// What is said in front of the next key.
    comment: String,
}

impl Page {
    /// Opens the file.
    pub(super) fn head(&mut self, text: &str) {
        self.comment(text);
        self.flush();
    }
    /// Begins a section. It stands in the file once it holds something.
    pub(super) fn section(&mut self, name: &str) {
        self.pending = Some(format!("\n[{name}]\n"));
        self.comment.clear();
    }
    /// Says something of the section as a whole.
    pub(super) fn about(&mut self, text: &str) {
        self.comment(text);
        if !text.is_empty() {
            self.comment.push('\n');
        }
    }
    /// Says something in front of the next key.
    pub(super) fn comment(&mut self, text: &str) {
        for line in text.lines() {
            wrap(&mut self.comment, line);
        }
    }
    pub(super) fn key(&mut self, key: &str, value: &str) {
        self.flush();
        self.text += key;
        self.text += " = ";
        self.text += value;
        self.text.push('\n');
    }
    fn flush(&mut self) {
        self.text += &self.pending.take().unwrap_or_default();
        self.text += &std::mem::take(&mut self.comment);
    }
    /// Ends the file with what has no place in it.
    pub(super) fn tail(&mut self, lines: impl Iterator<Item = String>) {
        self.pending = None;
        self.comment = "\n# What has no place here:\n#\n".into();
        for line in lines {
            wrap(&mut self.comment, &format!("- {line}"));
        }
        wrap(&mut self.comment, "- the comments of the .conf");
        self.flush();
    }
    pub(super) fn text(self) -> String {
        self.text
    }
}

/// Adds one line as a comment, broken between words.
fn wrap(to: &mut String, line: &str) {
    // A comment ends with its line, and holds no control characters.
    let line: String = line
        .chars()
        .map(|c| if c.is_control() { '\u{fffd}' } else { c })
        .collect();
    if line.is_empty() {
        *to += "#\n";
        return;
    }
    // What goes on stands under what it belongs to; a line of code is left as it is.
    let indent = if line.starts_with("- ") { "  " } else { "" };
    let mut current = String::new();
    for word in line.split(' ') {
        let length = current.chars().count() + word.chars().count() + 3;
        if !current.is_empty() && length > WIDTH {
            put(to, &current);
            indent.clone_into(&mut current);
        } else if !current.is_empty() {
            current.push(' ');
        }
        current += word;
    }
    put(to, &current);
}

fn put(to: &mut String, line: &str) {
    *to += "# ";
    *to += line;
    to.push('\n');
}
