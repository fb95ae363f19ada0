//! What a pod is told: Ostler's settings and the plain variables as ConfigMaps, the others as a Secret to be filled in.

use super::App;
use crate::remarks::Remarks;
use crate::secret::{PLACEHOLDER, Parted};
use serde_json::{Map, Value, json};

/// The file that `ostler runtime` is given.
pub(super) const FILE: &str = "ecosystem.config.json";
/// Where it lies.
pub(super) const DIRECTORY: &str = "/etc/ostler";

/// The settings without variables, and the variables: a config's own `env` would win over what a pod is given.
pub(super) fn config_maps(app: &App<'_>, remarks: &mut Remarks) -> Vec<Value> {
    let mut maps = vec![json!({
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": app.metadata(&settings_name(app)),
        "data": { FILE: file(app) },
    })];
    if let Some(data) = plain(app) {
        maps.push(json!({
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": app.metadata(&variables_name(app)),
            "data": data,
        }));
    }
    for file in &app.spec.environment.files {
        remarks.say(format!(
            "`env_file` {file} becomes a Secret: kubectl create secret generic {} --from-env-file={file}",
            files_name(app)
        ));
    }
    maps
}

/// The app's entry alone: what restarts it by the clock is the CronJob there.
fn file(app: &App<'_>) -> String {
    let mut settings = app.settings.clone();
    if app.kind != super::Kind::Service {
        settings.shift_remove("cron_restart");
    }
    format!("{:#}\n", json!({ "apps": [settings] }))
}

/// Variables whose names a ConfigMap and a Secret take; the others are told.
pub(super) fn sayable(mut variables: Parted, remarks: &mut Remarks) -> Parted {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let mut is_sayable = |name: &str| {
        let sayable = !name.is_empty() && name.chars().all(allowed);
        if !sayable {
            remarks.say(format!(
                "the variable {name:?} is left out: Kubernetes takes letters, digits, `-`, `_` and `.` in names only"
            ));
        }
        sayable
    };
    variables.plain.retain(|name, _value| is_sayable(name));
    variables.secret.retain(|name| is_sayable(name));
    variables
}

fn plain(app: &App<'_>) -> Option<Map<String, Value>> {
    let variables = &app.variables.plain;
    let data: Map<_, _> = variables
        .iter()
        .map(|(name, value)| (name.clone(), value.clone().into()))
        .collect();
    Some(data).filter(|data| !data.is_empty())
}

/// The Secret, with nothing in it yet.
pub(super) fn secret(app: &App<'_>) -> Option<Value> {
    let names = &app.variables.secret;
    let data: Map<_, _> = names.iter().map(|name| (name.clone(), PLACEHOLDER.into())).collect();
    (!names.is_empty()).then(|| {
        json!({
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": app.metadata(&secret_name(app)),
            "type": "Opaque",
            "stringData": data,
        })
    })
}

/// Where a container takes its variables from; later ones win, as with Ostler.
pub(super) fn sources(app: &App<'_>) -> Vec<Value> {
    let mut sources = Vec::new();
    if !app.spec.environment.files.is_empty() {
        sources.push(json!({ "secretRef": { "name": files_name(app) } }));
    }
    if !app.variables.plain.is_empty() {
        sources.push(json!({ "configMapRef": { "name": variables_name(app) } }));
    }
    if !app.variables.secret.is_empty() {
        sources.push(json!({ "secretRef": { "name": secret_name(app) } }));
    }
    sources
}

/// Changes with what the ConfigMaps say, so that pods are replaced when they do: Kubernetes does not do that by itself.
pub(super) fn checksum(app: &App<'_>) -> String {
    let variables = json!(app.variables.plain).to_string();
    // FNV-1a: it is to notice changes, not to withstand forgery.
    let bytes = file(app).into_bytes().into_iter().chain(variables.into_bytes());
    let hash = bytes.fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    format!("{hash:016x}")
}

pub(super) fn settings_name(app: &App<'_>) -> String {
    format!("{}-ostler", app.name)
}

fn variables_name(app: &App<'_>) -> String {
    format!("{}-env", app.name)
}

fn secret_name(app: &App<'_>) -> String {
    format!("{}-secret", app.name)
}

fn files_name(app: &App<'_>) -> String {
    format!("{}-env-file", app.name)
}
