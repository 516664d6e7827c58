//! Several measurements of one thing.

use std::fmt;

/// The median, and how far the others are from it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Spread {
    pub median: f64,
    pub least: f64,
    pub most: f64,
}

impl Spread {
    /// Of some values; of none there is none.
    pub fn of(values: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut sorted: Vec<f64> = values.into_iter().collect();
        sorted.sort_unstable_by(f64::total_cmp);
        let (least, most) = (*sorted.first()?, *sorted.last()?);
        let half = sorted.len() / 2;
        let median = if sorted.len().is_multiple_of(2) {
            f64::midpoint(*sorted.get(half - 1)?, *sorted.get(half)?)
        } else {
            *sorted.get(half)?
        };
        Some(Self {
            median,
            least,
            most,
        })
    }
}

/// `1.52 (1.48–1.60)`, with as many digits as asked for.
impl fmt::Display for Spread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = f.precision().unwrap_or(2);
        let Self {
            median,
            least,
            most,
        } = self;
        write!(f, "{median:.digits$} ({least:.digits$}–{most:.digits$})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_of_an_even_number_lies_between_two() {
        let spread = Spread::of([4.0, 1.0, 2.0, 3.0]).unwrap();
        assert_eq!(format!("{spread:.1}"), "2.5 (1.0–4.0)");
        assert_eq!(Spread::of([7.0]).unwrap().to_string(), "7.00 (7.00–7.00)");
        assert_eq!(Spread::of([]), None);
    }
}
