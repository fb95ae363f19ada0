//! `npm start` and its like as an app's script.

use crate::place::Place;
use insta::assert_snapshot;
use ostler_core::{Interpreter, Mode};

const PLAIN: &str = r#"{ "scripts": { "start": "node --no-warnings app.js" } }"#;
const OPAQUE: &str = r#"{ "scripts": { "start": "npm run build && node app.js" } }"#;

#[test]
fn in_cluster_mode_the_program_itself_is_run() {
    let place = Place::new();
    place.file("package.json", PLAIN);
    for config in [
        "{ script: 'npm', args: 'start -- --port 80', exec_mode: 'cluster', instances: 2 }",
        "{ script: 'npm start -- --port 80', exec_mode: 'cluster', instances: 2 }",
        "{ script: 'npm', args: 'start -- --port 80', instances: 2 }",
    ] {
        let spec = place.spec("a.json", config);
        let program = &spec.program;
        assert_eq!(
            (spec.mode, spec.name.as_str()),
            (
                Mode::Cluster,
                if config.contains("args") {
                    "npm"
                } else {
                    "npm start -- --port 80"
                }
            )
        );
        assert_eq!(
            (&program.path, &program.interpreter),
            (&place.path("app.js"), &Interpreter::Program("node".into()))
        );
        assert_eq!(program.interpreter_args, ["--no-warnings"]);
        assert_eq!(program.args, ["--port", "80"]);
        let said = place.messages("a.json", config);
        assert!(said.contains("without `npm start -- --port 80` around it"), "{said}");
    }
}

#[test]
fn what_cannot_be_followed_is_refused_where_a_cluster_was_asked_for() {
    let place = Place::new();
    place.file("package.json", OPAQUE);
    let said = place.messages(
        "a.json",
        "{ name: 'web', script: 'npm', args: 'start', exec_mode: 'cluster', instances: 2 }",
    );
    assert_snapshot!(said);
}

#[test]
fn in_fork_mode_a_package_manager_runs_as_it_is() {
    let place = Place::new();
    place.file("package.json", OPAQUE);
    for config in [
        "{ script: 'npm', args: 'start' }",
        "{ script: 'npm', args: 'start', exec_mode: 'fork', instances: 2 }",
        // A cluster only followed from the number.
        "{ script: 'npm', args: 'start', instances: 2 }",
    ] {
        let spec = place.spec("a.json", config);
        assert_eq!(
            (spec.mode, spec.program.args.as_slice()),
            (Mode::Fork, ["start".to_owned()].as_slice())
        );
        assert!(spec.program.path.ends_with("/npm"), "{}", spec.program.path);
    }
}
