//! Commands in advice, told apart from the sentences around them.

/// The programs whose commands are recognised without a newline before them.
const PROGRAMS: [&str; 17] = [
    "bpftool",
    "cat",
    "dmesg",
    "echo",
    "grep",
    "insmod",
    "keyctl",
    "kill",
    "lpwatch",
    "modinfo",
    "modprobe",
    "mount",
    "rm",
    "rmmod",
    "sysctl",
    "systemctl",
    "taskset",
];

/// A step in two parts: its sentence, which may be empty, and its commands, one a
/// line.
///
/// Each line after the first is a command. In a text of one line a command is the
/// whole text, or what follows the last `: `.
pub(super) fn split(step: &str) -> (&str, Vec<&str>) {
    if let Some((sentence, commands)) = step.split_once('\n') {
        let commands = commands.lines().filter(|line| !line.is_empty());
        return (sentence, commands.collect());
    }
    if is_command(step) {
        return ("", vec![step]);
    }
    match step.rsplit_once(": ") {
        // The colon stays with the sentence.
        Some((head, command)) if is_command(command) => (&step[..=head.len()], vec![command]),
        _ => (step, Vec::new()),
    }
}

/// Names are part of sentences: a task named `x: kill 1` is followed by its pid, and
/// must not look like a command.
fn is_command(text: &str) -> bool {
    let program = text.split(' ').next().unwrap_or_default();
    PROGRAMS.contains(&program) && !text.contains("(pid ") && !text.ends_with('.')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_found_below_its_sentence_behind_it_and_alone() {
        let echo = "echo 0 > /sys/kernel/livepatch/a/enabled";
        for (step, sentence) in [
            (format!("Reverse it:\n{echo}"), "Reverse it:"),
            (format!("Remove these first: {echo}"), "Remove these first:"),
            (echo.to_owned(), ""),
        ] {
            assert_eq!(split(&step), (sentence, vec![echo]));
        }
        assert_eq!(split("Look:\na && b\nc").1, ["a && b", "c"]);
    }

    #[test]
    fn a_sentence_holds_no_command() {
        for sentence in [
            "Wait: the kernel tries again every second.",
            "Stop x: kill 1 (pid 311), which holds fexit program y.",
            "Note: cat is a command.",
            "",
        ] {
            assert_eq!(split(sentence), (sentence, Vec::new()));
        }
    }
}
