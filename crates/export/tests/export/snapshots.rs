//! What is written, to be read by people.

use crate::support::{Loaded, Stage, shop, shown};
use ostler_export::probe::Paths;
use ostler_export::{dockerfile, kubernetes, systemd};

fn all(name: &str, loaded: &Loaded, options: &kubernetes::Options) {
    let Loaded { specs, project } = loaded;
    insta::assert_snapshot!(
        format!("{name}-kubernetes"),
        shown(&kubernetes::kubernetes(specs, project, options))
    );
    let units = systemd::systemd(specs, project).expect("units can say it");
    insta::assert_snapshot!(format!("{name}-systemd"), shown(&units));
    insta::assert_snapshot!(
        format!("{name}-dockerfile"),
        shown(&dockerfile::dockerfile(specs, project, &options.probes))
    );
}

#[test]
fn the_example_with_express() {
    let loaded = Stage::example("express").load("ecosystem.config.js", Some("production"));
    let probes = Paths {
        health: Some("/healthz".into()),
        ready: Some("readyz".into()),
    };
    let image = Some("registry.example.com:5000/express:1.4.2".into());
    all("express", &loaded, &kubernetes::Options { image, probes });
}

#[test]
fn the_example_in_python() {
    let loaded = Stage::example("python").load("ecosystem.config.js", None);
    all("python", &loaded, &kubernetes::Options::default());
}

#[test]
fn a_shop_with_a_cluster_a_worker_jobs_and_sockets() {
    let loaded = shop().load("ecosystem.config.js", Some("production"));
    all("shop", &loaded, &kubernetes::Options::default());
}
