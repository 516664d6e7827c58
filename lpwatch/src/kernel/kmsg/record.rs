//! One record of `/dev/kmsg`:
//! `<prefix>,<sequence>,<microseconds>,<flags>[,…];<text>\n` and, below it,
//! lines of ` KEY=value` about a device.
//!
//! Source: `Documentation/ABI/testing/dev-kmsg`; `msg_print_ext_body` in
//! `kernel/printk/printk.c`, 5.10 to 7.3.

use std::time::Duration;

/// One line of the kernel log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogRecord {
    /// 0 (emergency) to 7 (debug); 4 is a warning, 5 a notice.
    pub level: u8,
    /// 0 for the kernel's own messages. The kernel gives what user space writes to
    /// `/dev/kmsg` another one (`devkmsg_write` in `kernel/printk/printk.c`: `LOG_USER`
    /// instead of 0).
    pub facility: u32,
    /// Its number, from 0 at boot; never used twice.
    pub seq: u64,
    /// Microseconds of the log's clock (`local_clock()`, about
    /// `CLOCK_MONOTONIC`).
    pub micros: u64,
    /// The message, unescaped; bytes that are not UTF-8 are replaced.
    pub text: String,
}

impl LogRecord {
    /// Whether the kernel itself wrote it, not a process.
    #[must_use]
    pub fn is_of_kernel(&self) -> bool {
        self.facility == 0
    }

    /// When it was logged, in seconds of the log's clock.
    #[must_use]
    pub fn seconds(&self) -> f64 {
        Duration::from_micros(self.micros).as_secs_f64()
    }
}

/// Parses what one read of `/dev/kmsg` returned; `None` if it has another form.
#[must_use]
pub fn parse_record(record: &[u8]) -> Option<LogRecord> {
    let semicolon = record.iter().position(|byte| *byte == b';')?;
    let header = str::from_utf8(record.get(..semicolon)?).ok()?;
    let body = record.get(semicolon + 1..)?;
    // A newline within the message is escaped, so the first one ends it.
    let message = body.split(|byte| *byte == b'\n').next()?;

    let mut fields = header.split(',');
    let prefix: u32 = fields.next()?.parse().ok()?;
    Some(LogRecord {
        // Facility in the higher bits, level in the lowest three.
        level: u8::try_from(prefix & 7).ok()?,
        facility: prefix >> 3,
        seq: fields.next()?.parse().ok()?,
        micros: fields.next()?.parse().ok()?,
        text: String::from_utf8_lossy(&unescape(message)).into_owned(),
    })
}

/// Decodes the kernel's `\xNN` (for bytes below 32, from 127 and the backslash
/// itself); any other text that begins with a backslash is kept.
fn unescape(mut escaped: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(escaped.len());
    while let Some((first, rest)) = escaped.split_first() {
        if let [b'\\', b'x', high, low, after @ ..] = escaped
            && let (Some(high), Some(low)) = (hex(*high), hex(*low))
        {
            bytes.push(high << 4 | low);
            escaped = after;
        } else {
            bytes.push(*first);
            escaped = rest;
        }
    }
    bytes
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit)
        .to_digit(16)
        .and_then(|value| u8::try_from(value).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_has_level_number_time_and_text() {
        let record = parse_record(b"5,1234,98765432,-;livepatch: enabling patch 'lp'\n").unwrap();
        assert_eq!(
            record,
            LogRecord {
                level: 5,
                facility: 0,
                seq: 1234,
                micros: 98_765_432,
                text: "livepatch: enabling patch 'lp'".to_owned()
            }
        );
    }

    #[test]
    fn only_the_kernels_own_messages_have_facility_0() {
        for (prefix, facility, own) in [
            ("0", 0, true),
            ("5", 0, true),
            ("7", 0, true),
            ("12", 1, false),
            ("30", 3, false),
            ("2047", 255, false),
        ] {
            let record = format!("{prefix},1,2,-;livepatch: 'lp': patching complete\n");
            let record = parse_record(record.as_bytes()).unwrap();
            assert_eq!((record.facility, record.is_of_kernel()), (facility, own));
        }
    }

    #[test]
    fn further_fields_and_device_lines_are_left_out() {
        let record = parse_record(
            b"30,160,424069,-,caller=T1;pci_root: a; b\n SUBSYSTEM=acpi\n DEVICE=+x\n",
        )
        .unwrap();
        assert_eq!((record.level, record.seq), (6, 160));
        assert_eq!(record.text, "pci_root: a; b");
    }

    #[test]
    fn escapes_become_bytes_again() {
        let text = |body: &[u8]| {
            let record = [b"6,1,2,-;", body].concat();
            parse_record(&record).unwrap().text
        };
        assert_eq!(text(b"a\\x0ab \\x5cx41\n"), "a\nb \\x41");
        assert_eq!(text(b"caf\\xc3\\xa9\n"), "café");
        assert_eq!(text(b"\\xff\n"), "\u{fffd}");
        assert_eq!(text(b"\\x4 \\xzz \\\n"), "\\x4 \\xzz \\");
        assert_eq!(text(b""), "");
    }

    #[test]
    fn another_form_is_no_record() {
        for garbage in [
            &b""[..],
            b"hello\n",
            b";text\n",
            b"6,1;text\n",
            b"6,1,x,-;text\n",
            b"-1,1,1,-;text\n",
            b"6,99999999999999999999999,1,-;text\n",
            b"\xff,1,1,-;text\n",
        ] {
            assert_eq!(parse_record(garbage), None, "{garbage:?}");
        }
    }
}
