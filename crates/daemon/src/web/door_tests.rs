use super::super::names::Authority;
use super::super::page;
use super::*;
use ostler_wire::web::{Login, WebWish};

const KEY: &str = "0123456789abcdef";
const TOKEN: &str = "fedcba9876543210";

fn settings() -> Settings {
    let wish = WebWish {
        allow_hosts: Some(vec!["ops.example.com".to_owned()]),
        ..WebWish::default()
    };
    let mut settings = Settings::wanted(None, wish, TOKEN.to_owned()).expect("settings");
    settings.login = Some(login("ann", "correct horse"));
    settings
}

fn login(user: &str, password: &str) -> Login {
    Login {
        user: user.to_owned(),
        password: password.to_owned(),
    }
}

/// A door with one session.
fn door(settings: Settings) -> Door {
    let mut sessions = Sessions::default();
    sessions.begin(KEY.to_owned(), "ann".to_owned(), Instant(0));
    Door::new(settings, sessions)
}

/// What a program asks that shows nothing.
fn bare(target: Target) -> Asked {
    Asked {
        target,
        changes: false,
        host: Authority::parse("127.0.0.1:9615"),
        origin: None,
        site: Site::Unsaid,
        is_json: false,
        session: None,
        credential: None,
        peer: "127.0.0.1".parse().expect("an address"),
        local: "127.0.0.1".parse().expect("an address"),
    }
}

fn get(endpoint: Endpoint) -> Asked {
    bare(Target::Call(endpoint))
}

/// What the page asks in a browser that is signed in.
fn from_page(endpoint: Endpoint, changes: bool) -> Asked {
    Asked {
        changes,
        origin: changes.then(|| Authority::of_origin("http://127.0.0.1:9615")),
        site: Site::Own,
        is_json: changes,
        session: Some(KEY.to_owned()),
        ..get(endpoint)
    }
}

fn with_token(endpoint: Endpoint, token: &str) -> Asked {
    Asked {
        credential: Some(Credential::Token(token.to_owned())),
        ..get(endpoint)
    }
}

fn verdict(asked: &Asked) -> Result<Option<String>, Refusal> {
    let admitted = door(settings()).admit(asked, Instant(1));
    admitted.map(|admitted| match admitted {
        Admitted::Anyone => None,
        Admitted::Guest(guest) => Some(guest.user),
    })
}

fn someone(user: &str) -> Result<Option<String>, Refusal> {
    Ok(Some(user.to_owned()))
}

fn root() -> Target {
    Target::Page(page::find("/").expect("the page"))
}

#[test]
fn whoever_shows_nothing_sees_the_page_and_nothing_else() {
    assert_eq!(verdict(&bare(root())), Ok(None));
    assert_eq!(verdict(&bare(Target::Session(SessionCall::Look))), Ok(None));
    for target in [Target::Pm2, Target::Session(SessionCall::End)] {
        assert_eq!(verdict(&bare(target)), Err(Refusal::NobodyYet), "{target:?}");
    }
    for endpoint in Endpoint::ALL {
        assert_eq!(verdict(&get(endpoint)), Err(Refusal::NobodyYet), "{endpoint:?}");
    }
}

#[test]
fn a_session_the_token_and_the_password_let_in_and_nothing_like_them() {
    let password = |user: &str, password: &str| Asked {
        credential: Some(Credential::Password(login(user, password))),
        ..get(Endpoint::Ping)
    };
    let session = |key: &str| Asked {
        session: Some(key.to_owned()),
        ..get(Endpoint::Ping)
    };
    for (asked, expected) in [
        (session(KEY), someone("ann")),
        (session("0123456789abcdeF"), Err(Refusal::NobodyYet)),
        (session(""), Err(Refusal::NobodyYet)),
        (with_token(Endpoint::Ping, TOKEN), someone("token")),
        (with_token(Endpoint::Ping, ""), Err(Refusal::Wrong)),
        (with_token(Endpoint::Ping, "fedcba987654321"), Err(Refusal::Wrong)),
        (
            with_token(Endpoint::Ping, &format!("{TOKEN}{TOKEN}")),
            Err(Refusal::Wrong),
        ),
        (with_token(Endpoint::Ping, KEY), Err(Refusal::Wrong)),
        (password("ann", "correct horse"), someone("ann")),
        (password("ann", "correct"), Err(Refusal::Wrong)),
        (password("Ann", "correct horse"), Err(Refusal::Wrong)),
        (password("ann", ""), Err(Refusal::Wrong)),
        (password("", ""), Err(Refusal::Wrong)),
        (password("token", TOKEN), Err(Refusal::Wrong)),
    ] {
        assert_eq!(verdict(&asked), expected, "{asked:?}");
    }
}

#[test]
fn a_session_that_is_over_lets_nobody_in() {
    let mut door = door(settings());
    let over = Instant(super::super::sessions::LASTS.as_millis() as u64);
    assert_eq!(
        door.admit(&from_page(Endpoint::Ping, false), over),
        Err(Refusal::NobodyYet)
    );
}

#[test]
fn without_a_password_set_none_lets_in() {
    let without = Settings {
        login: None,
        ..settings()
    };
    for credential in [
        Credential::Password(login("", "")),
        Credential::Password(login("ann", "correct horse")),
    ] {
        let asked = Asked {
            credential: Some(credential),
            ..get(Endpoint::Ping)
        };
        assert_eq!(door(without.clone()).admit(&asked, Instant(1)), Err(Refusal::Wrong));
    }
}

#[test]
fn under_a_foreign_name_nothing_is_answered_not_even_the_page() {
    for target in [
        root(),
        Target::Call(Endpoint::Ping),
        Target::Session(SessionCall::Begin),
    ] {
        for (host, refusal) in [
            ("evil.example:9615", Refusal::ForeignHost("evil.example".to_owned())),
            ("10.1.1.1:9615", Refusal::ForeignHost("10.1.1.1".to_owned())),
        ] {
            let asked = Asked {
                host: Authority::parse(host),
                credential: Some(Credential::Token(TOKEN.to_owned())),
                ..bare(target)
            };
            assert_eq!(verdict(&asked), Err(refusal));
        }
        let nameless = Asked {
            host: None,
            ..bare(target)
        };
        assert_eq!(verdict(&nameless), Err(Refusal::NoHost));
    }
    for host in ["localhost:9615", "ops.example.com", "127.0.0.1:8080", "[::1]:9615"] {
        let asked = Asked {
            host: Authority::parse(host),
            ..with_token(Endpoint::Ping, TOKEN)
        };
        assert_eq!(verdict(&asked), someone("token"), "{host}");
    }
}

#[test]
fn another_page_can_neither_read_nor_change_anything() {
    let origin = |text: &str| Some(Authority::of_origin(text));
    let page = from_page(Endpoint::Operations, true);
    assert_eq!(verdict(&page), someone("ann"));
    for (what, asked, refusal) in [
        (
            "a form elsewhere",
            Asked {
                origin: origin("https://evil.example"),
                site: Site::Other,
                ..page.clone()
            },
            Refusal::OtherSite,
        ),
        (
            "a page of another port of this machine, in an old browser",
            Asked {
                origin: origin("http://127.0.0.1:3000"),
                site: Site::Unsaid,
                ..page.clone()
            },
            Refusal::OtherSite,
        ),
        (
            "a sandboxed frame",
            Asked {
                origin: origin("null"),
                site: Site::Unsaid,
                ..page.clone()
            },
            Refusal::OtherSite,
        ),
        (
            "a cookie without a word of where it comes from",
            Asked {
                origin: None,
                site: Site::Unsaid,
                ..page.clone()
            },
            Refusal::OtherSite,
        ),
        (
            "a form's body",
            Asked {
                is_json: false,
                ..page.clone()
            },
            Refusal::NotJson,
        ),
        (
            "a picture that is the list",
            Asked {
                site: Site::Other,
                ..from_page(Endpoint::Processes, false)
            },
            Refusal::OtherSite,
        ),
        (
            "the password that a browser remembers",
            Asked {
                site: Site::Other,
                credential: Some(Credential::Password(login("ann", "correct horse"))),
                session: None,
                ..page.clone()
            },
            Refusal::OtherSite,
        ),
    ] {
        assert_eq!(verdict(&asked), Err(refusal), "{what}");
    }
    let link = Asked {
        site: Site::Other,
        ..bare(root())
    };
    assert_eq!(verdict(&link), Ok(None), "a link to the page may be followed");
    let program = Asked {
        changes: true,
        is_json: true,
        ..with_token(Endpoint::Operations, TOKEN)
    };
    assert_eq!(verdict(&program), someone("token"), "a program is no browser");
}

#[test]
fn signing_in_is_for_the_page_itself_too() {
    let sign_in = Asked {
        changes: true,
        is_json: true,
        ..bare(Target::Session(SessionCall::Begin))
    };
    assert_eq!(verdict(&sign_in), Ok(None));
    let elsewhere = Asked {
        origin: Some(Authority::of_origin("https://evil.example")),
        ..sign_in.clone()
    };
    assert_eq!(verdict(&elsewhere), Err(Refusal::OtherSite));
    let form = Asked {
        is_json: false,
        ..sign_in
    };
    assert_eq!(verdict(&form), Err(Refusal::NotJson));
}

#[test]
fn what_needs_the_sockets_trust_is_closed_and_the_rest_follows_the_mode() {
    let reading = Settings {
        read_only: true,
        ..settings()
    };
    for endpoint in Endpoint::ALL {
        let changes = endpoint.method() == ostler_wire::endpoints::Method::Post;
        let asked = from_page(endpoint, changes);
        let open = match endpoint.over_port() {
            OverPort::Closed => [Err(Refusal::Closed), Err(Refusal::Closed)],
            OverPort::Shown => [someone("ann"), someone("ann")],
            OverPort::Masked | OverPort::Changes => [someone("ann"), Err(Refusal::ReadOnly)],
        };
        let found = [settings(), reading.clone()].map(|settings| {
            let admitted = door(settings).admit(&asked, Instant(1));
            admitted.map(|admitted| match admitted {
                Admitted::Anyone => None,
                Admitted::Guest(guest) => Some(guest.user),
            })
        });
        assert_eq!(found, open, "{endpoint:?}");
    }
    for endpoint in [Endpoint::Follow, Endpoint::Web, Endpoint::SetWeb, Endpoint::Inspect] {
        assert_eq!(endpoint.over_port(), OverPort::Closed);
    }
}

#[test]
fn who_guesses_waits_and_who_has_the_token_does_not() {
    let mut door = door(settings());
    let from: IpAddr = "10.0.0.1".parse().expect("an address");
    let password = |text: &str| Credential::Password(login("ann", text));
    let mut sign_in = |credential: &Credential, now: u64| {
        door.sign_in(credential, from, Instant(now), format!("key{now}"))
            .map(|guest| guest.user)
    };
    for number in 0..5 {
        assert_eq!(sign_in(&password("guess"), number), Err(Refusal::Wrong));
    }
    assert_eq!(
        sign_in(&password("correct horse"), 10),
        Err(Refusal::TooSoon(1)),
        "not looked at"
    );
    assert_eq!(
        sign_in(&Credential::Token("guess".to_owned()), 20),
        Err(Refusal::TooSoon(1))
    );
    assert_eq!(sign_in(&password("guess"), 1100), Err(Refusal::Wrong));
    assert_eq!(sign_in(&password("correct horse"), 1200), Err(Refusal::TooSoon(2)));
    assert_eq!(
        sign_in(&Credential::Token(TOKEN.to_owned()), 1300),
        Ok("token".to_owned())
    );
    assert_eq!(
        sign_in(&password("correct horse"), 1400),
        Ok("ann".to_owned()),
        "all is forgiven"
    );
    assert!(door.knows("key1400", Instant(1500)));
    assert!(door.sign_out("key1400") && !door.knows("key1400", Instant(1500)));
}
