//! Text and its paint.

/// The paint of a span.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Paint {
    Plain,
    Bold,
    Dim,
    Green,
    Yellow,
    Red,
    /// Red and bold: for what must be noticed first.
    Alarm,
}

impl Paint {
    /// The numbers of its escape sequence.
    pub(super) fn code(self) -> Option<&'static str> {
        match self {
            Self::Plain => None,
            Self::Bold => Some("1"),
            Self::Dim => Some("2"),
            Self::Green => Some("32"),
            Self::Yellow => Some("33"),
            Self::Red => Some("31"),
            Self::Alarm => Some("1;31"),
        }
    }
}

/// Text of one paint. Spans without a space between them form one word and are not
/// wrapped apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Span {
    pub text: String,
    pub paint: Paint,
}

pub(super) fn plain(text: impl Into<String>) -> Span {
    painted(Paint::Plain, text)
}

pub(super) fn painted(paint: Paint, text: impl Into<String>) -> Span {
    Span {
        text: text.into(),
        paint,
    }
}
