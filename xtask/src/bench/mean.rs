//! A figure that was found several times, and how far it can be trusted.

use std::fmt;

/// The mean of several findings, and its standard error.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Mean {
    /// The mean.
    pub value: f64,
    /// How far from it the truth is likely to be: in two cases of three not farther, in nineteen of twenty not twice as far. Nothing is known
    /// of it from a single finding.
    pub error: f64,
}

impl Mean {
    /// Of findings that have nothing to do with each other; of none it is 0.
    pub fn of(findings: impl IntoIterator<Item = f64>) -> Self {
        let findings: Vec<f64> = findings.into_iter().collect();
        let count = findings.len().max(1) as f64;
        // Not `sum`, which is -0 of none.
        let value = findings.iter().fold(0.0, |sum, finding| sum + finding) / count;
        let squares = findings
            .iter()
            .fold(0.0, |sum, finding| sum + (finding - value).powi(2));
        Self {
            value,
            error: (squares / (count - 1.0).max(1.0) / count).sqrt(),
        }
    }
}

impl fmt::Display for Mean {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.3} ± {:.3}", self.value, self.error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_findings_are_trusted_farther() {
        assert_eq!(Mean::of([1.0, 3.0]), Mean { value: 2.0, error: 1.0 });
        let more = Mean::of([1.0, 3.0].repeat(50));
        assert!((more.value - 2.0).abs() < 1e-9 && more.error < 0.11, "{more}");
        assert_eq!(Mean::of([0.5]).to_string(), "0.500 ± 0.000");
        assert_eq!(Mean::of([]).to_string(), "0.000 ± 0.000");
    }
}
