//! Which style follows from which surroundings.

use super::*;

const TERMINAL: Surroundings<'_> = Surroundings {
    is_terminal: true,
    terminal_width: Some(132),
    no_color: None,
    term: Some("xterm-256color"),
    columns: None,
    lc_all: None,
    lc_ctype: None,
    lang: Some("en_GB.UTF-8"),
};

fn style(around: &Surroundings<'_>) -> Style {
    Style::for_terminal(ColorChoice::Auto, around)
}

#[test]
fn colour_only_where_it_is_welcome() {
    assert!(style(&TERMINAL).color);
    assert!(
        !style(&Surroundings {
            is_terminal: false,
            ..TERMINAL
        })
        .color
    );
    assert!(
        !style(&Surroundings {
            no_color: Some("1"),
            ..TERMINAL
        })
        .color
    );
    assert!(
        style(&Surroundings {
            no_color: Some(""),
            ..TERMINAL
        })
        .color
    );
    assert!(
        !style(&Surroundings {
            term: Some("dumb"),
            ..TERMINAL
        })
        .color
    );
    let quiet = Surroundings {
        no_color: Some("1"),
        is_terminal: false,
        ..TERMINAL
    };
    assert!(Style::for_terminal(ColorChoice::Always, &quiet).color);
    assert!(!Style::for_terminal(ColorChoice::Never, &TERMINAL).color);
}

#[test]
fn the_alphabet_follows_the_locale() {
    assert!(style(&TERMINAL).unicode);
    assert!(
        !style(&Surroundings {
            lc_all: Some("C"),
            ..TERMINAL
        })
        .unicode
    );
    assert!(
        style(&Surroundings {
            lc_all: Some(""),
            ..TERMINAL
        })
        .unicode
    );
    assert!(
        style(&Surroundings {
            lc_ctype: Some("C.utf8"),
            lang: None,
            ..TERMINAL
        })
        .unicode
    );
    assert!(
        !style(&Surroundings {
            lang: None,
            ..TERMINAL
        })
        .unicode
    );
    assert!(
        !style(&Surroundings {
            term: Some("linux"),
            ..TERMINAL
        })
        .unicode
    );
}

#[test]
fn the_width_has_a_floor() {
    assert_eq!(style(&TERMINAL).width, 132);
    assert_eq!(
        style(&Surroundings {
            columns: Some("100"),
            ..TERMINAL
        })
        .width,
        100
    );
    assert_eq!(
        style(&Surroundings {
            columns: Some("wide"),
            ..TERMINAL
        })
        .width,
        132
    );
    assert_eq!(
        style(&Surroundings {
            terminal_width: None,
            ..TERMINAL
        })
        .width,
        80
    );
    assert_eq!(
        style(&Surroundings {
            terminal_width: Some(0),
            ..TERMINAL
        })
        .width,
        80
    );
    assert_eq!(
        style(&Surroundings {
            terminal_width: Some(20),
            ..TERMINAL
        })
        .width,
        40
    );
}

#[test]
fn foreign_text_fits_the_alphabet() {
    assert_eq!(style(&TERMINAL).text("é\u{1b}"), "é\\x1b");
    assert_eq!(Style::default().text("é\u{1b}"), "\\xe9\\x1b");
}

#[test]
fn paint_is_undone() {
    assert_eq!(style(&TERMINAL).red("x"), "\u{1b}[31mx\u{1b}[0m");
    assert_eq!(Style::default().red("x"), "x");
}
