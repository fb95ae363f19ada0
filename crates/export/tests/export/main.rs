//! What exports say, and whether those who are to read them understand it: Kubernetes' own schemas, systemd itself, a parser of
//! Dockerfiles.

mod cases;
mod dockerfiles;
mod escaping;
mod kubernetes;
mod silence;
mod snapshots;
mod support;
mod units;
