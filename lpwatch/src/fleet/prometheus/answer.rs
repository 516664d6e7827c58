//! Decodes Prometheus's JSON responses.

use std::collections::BTreeMap;

use serde::Deserialize;

/// The samples of an instant query, and Prometheus's warnings.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct QueryResult {
    pub samples: Vec<Sample>,
    /// Such as that the result is partial.
    pub warnings: Vec<String>,
}

/// One sample of a vector; its value can be NaN.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    pub labels: BTreeMap<String, String>,
    pub value: f64,
}

impl Sample {
    /// A label; an empty one counts as absent.
    #[must_use]
    pub fn label(&self, name: &str) -> Option<&str> {
        let value = self.labels.get(name)?;
        (!value.is_empty()).then_some(value)
    }
}

#[derive(Deserialize)]
struct Envelope<R> {
    status: String,
    data: Option<Data<R>>,
    error: Option<String>,
    #[serde(default)]
    warnings: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Data<R> {
    result_type: String,
    result: R,
}

#[derive(Deserialize)]
struct RawSample {
    metric: BTreeMap<String, String>,
    /// Seconds since the epoch, and the value as text.
    value: (f64, String),
}

/// Only the type of the result, so that an error can name a wrong one.
#[derive(Deserialize)]
struct Ignored {}

/// Decodes the response to an instant query.
pub(super) fn vector(body: &[u8]) -> Result<QueryResult, String> {
    let (result, warnings): (Vec<RawSample>, _) = unwrapped(body, "vector")?;
    let samples = result.into_iter().map(|RawSample { metric, value }| {
        Ok(Sample {
            value: number(&value.1)?,
            labels: metric,
        })
    });
    Ok(QueryResult {
        samples: samples.collect::<Result<_, String>>()?,
        warnings,
    })
}

/// Decodes the response to a query of one number.
pub(super) fn scalar(body: &[u8]) -> Result<f64, String> {
    let (result, _): ((f64, String), _) = unwrapped(body, "scalar")?;
    let value = number(&result.1)?;
    if value.is_finite() {
        Ok(value)
    } else {
        Err(format!("it reports {value} as the time"))
    }
}

/// Prometheus's own words in an error response.
pub(super) fn reason(body: &[u8]) -> Option<String> {
    let envelope: Envelope<Ignored> = serde_json::from_slice(body).ok()?;
    envelope.error.map(|error| brief(&error))
}

fn unwrapped<R: for<'de> Deserialize<'de>>(
    body: &[u8],
    wanted: &str,
) -> Result<(R, Vec<String>), String> {
    let envelope: Envelope<R> = match serde_json::from_slice(body) {
        Ok(envelope) => envelope,
        Err(error) => return Err(describe_failure(body, wanted, &error)),
    };
    let Envelope {
        status,
        data,
        error,
        warnings,
    } = envelope;
    match data {
        Some(data) if status == "success" && data.result_type == wanted => {
            Ok((data.result, warnings))
        }
        Some(data) if status == "success" => Err(wrong_kind(&data.result_type, wanted)),
        _ => Err(format!(
            "its status is {}: {}",
            brief(&status),
            error.map_or_else(|| "no reason given".to_owned(), |error| brief(&error))
        )),
    }
}

/// Why a body is not what was expected.
fn describe_failure(body: &[u8], wanted: &str, error: &serde_json::Error) -> String {
    let start = body.trim_ascii_start();
    if start.starts_with(b"<") {
        return "it sent a web page (HTML), as a login page or a proxy does".to_owned();
    }
    if start.is_empty() {
        return "its response is empty".to_owned();
    }
    if error.is_eof() {
        return format!("its response of {} bytes ends too early", body.len());
    }
    let kind = serde_json::from_slice::<Envelope<serde_json::Value>>(body)
        .ok()
        .and_then(|envelope| envelope.data);
    match kind {
        Some(data) if data.result_type != wanted => wrong_kind(&data.result_type, wanted),
        _ => format!("its response cannot be read: {}", brief(&error.to_string())),
    }
}

fn wrong_kind(kind: &str, wanted: &str) -> String {
    format!("its response is a {}, not a {wanted}", brief(kind))
}

/// As Prometheus writes numbers: `1`, `1.5e+06`, `NaN`, `+Inf`.
fn number(text: &str) -> Result<f64, String> {
    text.parse()
        .map_err(|_| format!("`{}` is not a number", brief(text)))
}

/// Text from the server, cut to fit one line of an error.
fn brief(text: &str) -> String {
    const LONGEST: usize = 300;
    let text = crate::text::printable(text);
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn success(kind: &str, result: &str) -> Vec<u8> {
        format!(r#"{{"status":"success","data":{{"resultType":"{kind}","result":{result}}}}}"#)
            .into_bytes()
    }

    #[test]
    fn a_vector_is_read_with_its_warnings() {
        let body = br#"{"status":"success","data":{"resultType":"vector","result":[
            {"metric":{"instance":"a","x":""},"value":[1435781451.781,"1"]},
            {"metric":{},"value":[1435781451.781,"NaN"]}]},"warnings":["partial"],"infos":["i"]}"#;
        let answer = vector(body).unwrap();
        assert_eq!(answer.samples[0].label("instance"), Some("a"));
        assert_eq!(answer.samples[0].label("x"), None);
        assert!((answer.samples[0].value - 1.0).abs() < f64::EPSILON);
        assert!(answer.samples[1].value.is_nan());
        assert_eq!(answer.warnings, ["partial"]);
    }

    #[test]
    fn the_time_is_read() {
        let body = success("scalar", r#"[1435781451.781,"1435781451.781"]"#);
        assert!((scalar(&body).unwrap() - 1_435_781_451.781).abs() < 1e-3);
        let body = success("scalar", r#"[1,"NaN"]"#);
        assert_eq!(scalar(&body).unwrap_err(), "it reports NaN as the time");
    }

    #[test]
    fn wrong_answers_are_distinguished() {
        let whole = success("vector", r#"[{"metric":{},"value":[1,"1"]}]"#);
        let cases: [(&[u8], &str); 9] = [
            (b"<!doctype html><html>", "it sent a web page (HTML)"),
            (b"", "its response is empty"),
            (&whole[..whole.len() - 9], "ends too early"),
            (
                &success("matrix", r#"[{"metric":{},"values":[[1,"1"]]}]"#),
                "a matrix, not a vector",
            ),
            (&success("scalar", r#"[1,"1"]"#), "a scalar, not a vector"),
            (
                &success("vector", r#"[{"metric":{},"value":[1,"much"]}]"#),
                "`much` is not a number",
            ),
            (
                &success("vector", r#"[{"metric":{}}]"#),
                "cannot be read: missing field `value`",
            ),
            (
                br#"{"status":"error","errorType":"x","error":"a\nb"}"#,
                "its status is error: a\\nb",
            ),
            (b"[]", "cannot be read"),
        ];
        for (body, words) in cases {
            let error = vector(body).unwrap_err();
            assert!(error.contains(words), "{error} / {words}");
        }
    }

    #[test]
    fn the_reason_of_an_error_is_reported() {
        let body = br#"{"status":"error","errorType":"bad_data","error":"parse error"}"#;
        assert_eq!(reason(body).as_deref(), Some("parse error"));
        assert_eq!(reason(b"<html>"), None);
    }

    #[test]
    fn damaged_responses_are_read_or_refused() {
        let seeds = [
            success(
                "vector",
                r#"[{"metric":{"a":"b"},"value":[1435781451.781,"1.5e+06"]}]"#,
            ),
            success("scalar", r#"[1435781451.781,"1"]"#),
            br#"{"status":"error","errorType":"bad_data","error":"invalid"}"#.to_vec(),
            b"<html>".to_vec(),
        ];
        crate::fuzz::hammer("prometheus", &seeds, |_, body| {
            for error in [vector(body).err(), scalar(body).err(), reason(body)] {
                let text = error.unwrap_or_default();
                assert!(!text.chars().any(char::is_control), "{text:?}");
            }
        });
    }
}
