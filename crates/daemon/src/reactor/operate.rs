//! From a client's operation to the machine's requests: selectors resolved, existing apps told from new ones, patches laid over specs.
//! All of it against the list as it is at this moment, so that twenty starts at once make each app once.

use super::Daemon;
use crate::api::{Caller, Reply};
use crate::operations::Form;
use crate::saved_list;
use crate::select::{not_found, select};
use ostler_config::Context;
use ostler_core::{Origin, Pid, Request, SavedInstance, SlotId, SlotView, Spec, Status, Ticket};
use ostler_sys::users;
use ostler_wire::control::{Action, Answer, ApiError, ApiErrorKind, Operation, Patch, ScaleTo, Selector};
use std::collections::BTreeSet;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// What an operation comes to.
pub(super) enum Plan {
    /// Wait for these requests of the machine.
    Requests(Form, Vec<Ticket>),
    /// It is done.
    Done(Answer),
    /// Something else answers later.
    Elsewhere(Later),
}

/// Arranges for the answer.
pub(super) type Later = Box<dyn FnOnce(&mut Daemon, Reply<Answer>)>;

impl Daemon {
    /// Begins an operation, or joins it if it is known.
    pub(super) fn operate(&mut self, operation: Operation, caller: &Caller, reply: Reply<Answer>) {
        let Some(reply) = self.operations.join(&operation.id, reply) else {
            return;
        };
        let by = origin(caller, operation.verb);
        let kept = match self.plan(&operation.id, operation.action, &by) {
            Ok(Plan::Requests(form, tickets)) => self.operations.begin(&operation.id, form, tickets, reply),
            Ok(Plan::Done(answer)) => self.operations.answer(&operation.id, Ok(answer), reply),
            Err(error) => self.operations.answer(&operation.id, Err(error), reply),
            Ok(Plan::Elsewhere(begin)) => return begin(self, reply),
        };
        self.keep_operations(kept);
    }

    fn plan(&mut self, id: &str, action: Action, by: &Origin) -> Result<Plan, ApiError> {
        match action {
            Action::Start {
                existing,
                spec,
                patch,
                force,
                otherwise,
            } => self.plan_start(existing, spec.map(|spec| *spec), &patch, force, otherwise, by),
            Action::Apply {
                specs,
                only_missing,
                reload,
                only_changed,
            } => Ok(self.plan_apply(specs, (only_missing, only_changed), reload, by)),
            Action::Restart { selector, patch } => {
                let slots = self.chosen(&selector)?;
                self.plan_restart(&slots, &patch, None, &selector.cwd, by)
            }
            Action::Reload {
                selector,
                patch,
                parallel,
            } => {
                let slots = self.chosen(&selector)?;
                self.plan_restart(&slots, &patch, Some(parallel), &selector.cwd, by)
            }
            Action::Stop { selector } => self.on_slots(&selector, by, |slots| Request::Stop { slots }),
            Action::Delete { selector } => self.on_slots(&selector, by, |slots| Request::Delete { slots }),
            Action::Reset { selector } => self.on_slots(&selector, by, |slots| Request::Reset { slots }),
            Action::Signal { selector, signal } => {
                self.on_slots(&selector, by, |slots| Request::Signal { slots, signal })
            }
            Action::Scale { selector, to } => self.plan_scale(&selector, to, by),
            Action::SendLine { slot, line } => self.send_line(slot, &line),
            Action::Trigger {
                selector,
                action,
                parameters,
                within_ms,
            } => self.plan_trigger(id, &selector, action, parameters, Duration::from_millis(within_ms)),
            Action::Profile { slot, kind } => self.plan_profile(id, slot, kind),
            Action::EndProfile { slot } => self.plan_end_profile(slot),
            Action::Flush { selector } => self.plan_flush(selector.as_ref()),
            Action::ReloadLogs => Ok(self.plan_reopen()),
            Action::Save { force } => self.plan_save(force),
            Action::Resurrect => self.plan_resurrect(by),
            Action::Kill => Ok(self.requests(Form::Killed, vec![Request::Shutdown], by)),
            Action::WindDown => Ok(self.requests(Form::Killed, vec![self.wind_down()], by)),
        }
    }

    pub(super) fn chosen(&self, selector: &Selector) -> Result<BTreeSet<SlotId>, ApiError> {
        select(selector, &self.slots())
    }

    fn on_slots(
        &mut self,
        selector: &Selector,
        by: &Origin,
        request: impl FnOnce(Vec<SlotId>) -> Request,
    ) -> Result<Plan, ApiError> {
        let slots = self.chosen(selector)?.into_iter().collect();
        Ok(self.requests(Form::Slots, vec![request(slots)], by))
    }

    fn requests(&mut self, form: Form, requests: Vec<Request>, by: &Origin) -> Plan {
        Plan::Requests(
            form,
            requests
                .into_iter()
                .map(|request| self.ask(request, by.clone()))
                .collect(),
        )
    }

    /// PM2's order of decisions (cli.md section 2.1).
    fn plan_start(
        &mut self,
        existing: Option<Selector>,
        spec: Option<Spec>,
        patch: &Patch,
        force: bool,
        otherwise: Option<ApiError>,
        by: &Origin,
    ) -> Result<Plan, ApiError> {
        if let Some(selector) = existing
            && let Ok(slots) = self.chosen(&selector)
            && !slots.is_empty()
        {
            return self.plan_restart(&slots, patch, None, &selector.cwd, by);
        }
        let Some(spec) = spec else {
            return Err(otherwise.unwrap_or_else(|| not_found("that")));
        };
        let same: Vec<SlotView> = self.machine.slots().filter(|slot| is_same(&slot.spec, &spec)).collect();
        if same.is_empty() || force {
            return Ok(self.requests(Form::Slots, vec![Request::Start { specs: vec![spec] }], by));
        }
        if same.iter().any(is_running) {
            return Err(ApiError {
                kind: ApiErrorKind::User,
                message: format!("Script already launched: {} runs as `{}`", spec.program.path, spec.name),
                hint: Some("Add -f (--force) to run it a second time, or give it another --name.".to_owned()),
            });
        }
        let slots: Vec<SlotId> = same.iter().map(|slot| slot.id).collect();
        let specs = for_each(spec, &slots);
        Ok(self.requests(Form::Slots, vec![Request::Restart { slots, specs }], by))
    }

    fn plan_apply(
        &mut self,
        specs: Vec<Spec>,
        (only_missing, only_changed): (bool, bool),
        reload: Option<u32>,
        by: &Origin,
    ) -> Plan {
        let present = self.slots();
        let mut requests = Vec::new();
        let mut new = Vec::new();
        for spec in specs {
            let slots: Vec<SlotId> = present
                .iter()
                .filter(|slot| slot.spec.name == spec.name)
                .map(|slot| slot.id)
                .collect();
            if slots.is_empty() {
                new.push(spec);
            } else if !only_missing {
                let specs = for_each(spec, &slots);
                requests.push(again(slots, specs, reload, only_changed));
            }
        }
        if !new.is_empty() {
            requests.push(Request::Start { specs: new });
        }
        self.requests(Form::Slots, requests, by)
    }

    fn plan_restart(
        &mut self,
        slots: &BTreeSet<SlotId>,
        patch: &Patch,
        reload: Option<u32>,
        cwd: &str,
        by: &Origin,
    ) -> Result<Plan, ApiError> {
        let context = Context {
            cwd: PathBuf::from(cwd),
            home: self.home.clone(),
            environment: patch.environment.clone().unwrap_or_default(),
            username: String::new(),
            node: None,
            patience: ostler_config::PATIENCE,
        };
        let unchanged = patch.attributes.is_empty() && patch.environment.is_none();
        let specs = match unchanged {
            true => Vec::new(),
            false => {
                let views = slots.iter().filter_map(|slot| self.machine.slot(*slot));
                let patched = views.map(|view| {
                    ostler_config::patch(&view.spec, &patch.attributes, patch.environment.as_ref(), &context)
                        .map(Arc::new)
                });
                patched
                    .collect::<Result<Vec<_>, _>>()
                    .map_err(|error| user_error(error.to_string()))?
            }
        };
        let slots = slots.iter().copied().collect();
        Ok(self.requests(Form::Slots, vec![again(slots, specs, reload, false)], by))
    }

    fn plan_scale(&mut self, selector: &Selector, to: ScaleTo, by: &Origin) -> Result<Plan, ApiError> {
        let chosen = self.chosen(selector)?;
        let Some(view) = chosen.first().and_then(|slot| self.machine.slot(*slot)) else {
            return Err(not_found(&selector.words.join(" ")));
        };
        let current = self.machine.slots().filter(|slot| slot.app == view.app).count();
        let current = u32::try_from(current).unwrap_or(u32::MAX);
        let instances = match to {
            ScaleTo::Absolute(count) => count,
            ScaleTo::More(count) => current.saturating_add(count),
            ScaleTo::Fewer(count) => current.saturating_sub(count),
        };
        if instances == current {
            return Err(user_error(format!(
                "Nothing to do: `{}` has {current} instances",
                view.spec.name
            )));
        }
        if instances == 0 {
            let hint = format!(
                "`ostler stop {0}` or `ostler delete {0}` end all of them.",
                view.spec.name
            );
            let message = "an app has at least one instance".to_owned();
            return Err(ApiError {
                kind: ApiErrorKind::User,
                message,
                hint: Some(hint),
            });
        }
        Ok(self.requests(
            Form::Slots,
            vec![Request::Scale {
                slot: view.id,
                instances,
            }],
            by,
        ))
    }

    fn send_line(&mut self, slot: SlotId, line: &str) -> Result<Plan, ApiError> {
        let Some(view) = self.machine.slot(slot) else {
            return Err(not_found(&slot.to_string()));
        };
        let worker = ostler_core::WorkerId {
            slot,
            generation: view.generation,
        };
        let stdin = self
            .workers
            .get(&worker)
            .and_then(|record| record.descriptor(crate::workers::Part::Stdin));
        let Some(stdin) = stdin.filter(|_| view.pid.is_some()) else {
            return Err(user_error(format!("Process with ID {slot} offline.")));
        };
        let _ = rustix::io::ioctl_fionbio(stdin, true);
        match rustix::io::write(stdin, line.as_bytes()) {
            Ok(written) if written == line.len() => Ok(Plan::Done(Answer::Done { count: 1 })),
            Ok(written) => Err(stdin_full(&view, written)),
            Err(rustix::io::Errno::AGAIN) => Err(stdin_full(&view, 0)),
            Err(error) => Err(system_error(format!(
                "writing to the standard input of `{}`: {error}",
                view.spec.name
            ))),
        }
    }

    fn plan_save(&mut self, force: bool) -> Result<Plan, ApiError> {
        let instances = self.saved_instances();
        if instances.is_empty() && !force {
            return Ok(Plan::Done(Answer::NothingToSave));
        }
        let path = self.home.join(saved_list::FILE);
        let home = self.home.clone();
        // Written by the scribe, off this thread; saving twice is saving once, so the answer need not be kept.
        Ok(Plan::Elsewhere(Box::new(move |daemon, reply| {
            daemon.scribe.run(move || {
                let processes = instances.len();
                let answer = match saved_list::write(&path, &instances, &home) {
                    Ok(()) => Ok(Answer::Saved {
                        path: path.to_string_lossy().into_owned(),
                        processes,
                    }),
                    Err(error) => Err(unsaved(&path, &error)),
                };
                let _ = reply.send(answer);
            });
        })))
    }

    /// The list as it is saved.
    pub(super) fn saved_instances(&self) -> Vec<SavedInstance> {
        let running = |status: Status| !matches!(status, Status::Stopped | Status::Errored | Status::Stopping);
        let saved = |view: SlotView| SavedInstance {
            instance: view.instance,
            running: running(view.status),
            spec: view.spec,
        };
        self.machine.slots().map(saved).collect()
    }

    /// A daemon that is told to end by a signal saves its list first, unless it is empty.
    pub(super) fn save_before_the_end(&mut self) {
        let instances = self.saved_instances();
        if instances.is_empty() || self.machine.is_shutting_down() {
            return;
        }
        let path = self.home.join(saved_list::FILE);
        let (facts, home) = (self.facts.clone(), self.home.clone());
        self.scribe.run(move || {
            if let Err(error) = saved_list::write(&path, &instances, &home) {
                let _ = facts.send(crate::fact::Fact::Note(unsaved(&path, &error).message));
            }
        });
    }

    pub(super) fn plan_resurrect(&mut self, by: &Origin) -> Result<Plan, ApiError> {
        let path = self.home.join(saved_list::FILE);
        let context = Context {
            cwd: self.home.clone(),
            home: self.home.clone(),
            environment: std::collections::BTreeMap::new(),
            username: user_name(rustix::process::geteuid().as_raw()),
            node: None,
            patience: ostler_config::PATIENCE,
        };
        let found = saved_list::read(&path, &context)
            .map_err(|error| system_error(format!("No saved list can be read: {error}")))?;
        let Some(found) = found else {
            return Err(ApiError {
                kind: ApiErrorKind::NotFound,
                message: format!("there is no saved list: {} does not exist", path.display()),
                hint: Some("`ostler save` writes it.".to_owned()),
            });
        };
        let names: BTreeSet<String> = self.machine.slots().map(|slot| slot.spec.name.clone()).collect();
        let (present, missing): (Vec<_>, Vec<_>) = found
            .instances
            .into_iter()
            .partition(|saved| names.contains(&saved.spec.name));
        let present: BTreeSet<String> = present.into_iter().map(|saved| saved.spec.name.clone()).collect();
        let form = Form::Resurrected {
            path: found.path.to_string_lossy().into_owned(),
            present: present.into_iter().collect(),
            warnings: found.warnings,
        };
        Ok(self.requests(form, vec![Request::Restore { instances: missing }], by))
    }
}

/// The same spec for all of them.
fn for_each(spec: Spec, slots: &[SlotId]) -> Vec<Arc<Spec>> {
    let spec = Arc::new(spec);
    slots.iter().map(|_| Arc::clone(&spec)).collect()
}

fn is_same(one: &Spec, other: &Spec) -> bool {
    one.name == other.name && one.program.path == other.program.path
}

fn is_running(slot: &SlotView) -> bool {
    matches!(slot.status, Status::Online | Status::Launching | Status::WaitingRestart)
}

fn origin(caller: &Caller, verb: String) -> Origin {
    match caller {
        Caller::Owner(peer) => Origin::Client {
            user: user_name(peer.uid),
            pid: Pid(peer.pid),
            verb,
        },
        Caller::Guest(guest) => Origin::Web {
            user: guest.user.clone(),
            address: guest.address.to_string(),
            verb,
        },
    }
}

fn user_name(uid: u32) -> String {
    users::name_of(uid).ok().flatten().unwrap_or_else(|| uid.to_string())
}

pub(super) fn user_error(message: String) -> ApiError {
    ApiError {
        kind: ApiErrorKind::User,
        message,
        hint: None,
    }
}

pub(super) fn system_error(message: String) -> ApiError {
    ApiError {
        kind: ApiErrorKind::System,
        message,
        hint: None,
    }
}

fn stdin_full(view: &SlotView, written: usize) -> ApiError {
    system_error(format!(
        "`{}` does not read its standard input: {written} bytes of the line were taken",
        view.spec.name
    ))
}

fn unsaved(path: &std::path::Path, error: &io::Error) -> ApiError {
    ApiError {
        kind: ApiErrorKind::System,
        message: format!("the list could not be saved to {}: {error}", path.display()),
        hint: Some("What was saved before is untouched.".to_owned()),
    }
}

/// A restart, or a reload of so many at once.
fn again(slots: Vec<SlotId>, specs: Vec<Arc<Spec>>, reload: Option<u32>, only_changed: bool) -> Request {
    match reload {
        Some(parallel) => Request::Reload {
            slots,
            specs,
            parallel,
            only_changed,
        },
        None => Request::Restart { slots, specs },
    }
}
