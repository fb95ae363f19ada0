//! One entry of `jlist`.

use serde_json::Value;

/// One process as `jlist` shows it.
#[derive(Clone, Debug)]
pub struct Row(pub Value);

impl Row {
    /// `name`.
    pub fn name(&self) -> &str {
        self.0["name"].as_str().expect("jlist: `name` is a string")
    }

    /// `pm_id`.
    pub fn id(&self) -> u64 {
        self.0["pm_id"].as_u64().expect("jlist: `pm_id` is a number")
    }

    /// `pid`; 0 when no process runs.
    pub fn pid(&self) -> i32 {
        let pid = self.0["pid"].as_i64().expect("jlist: `pid` is a number");
        i32::try_from(pid).expect("jlist: `pid` is a process id")
    }

    /// `pm2_env.status`.
    pub fn status(&self) -> &str {
        self.text("status")
    }

    /// `pm2_env.restart_time`.
    pub fn restarts(&self) -> u64 {
        self.number("restart_time")
    }

    /// `monit.memory`, in bytes.
    pub fn memory(&self) -> u64 {
        self.0["monit"]["memory"].as_u64().unwrap_or(0)
    }

    /// Any value of `pm2_env`; null when absent.
    pub fn get(&self, key: &str) -> &Value {
        &self.0["pm2_env"][key]
    }

    /// A text of `pm2_env`.
    ///
    /// # Panics
    /// When it is absent or no string.
    pub fn text(&self, key: &str) -> &str {
        self.get(key)
            .as_str()
            .unwrap_or_else(|| panic!("jlist: `pm2_env.{key}` is a string, but is {}", self.get(key)))
    }

    /// A number of `pm2_env`.
    ///
    /// # Panics
    /// When it is absent or no whole number.
    pub fn number(&self, key: &str) -> u64 {
        self.get(key)
            .as_u64()
            .unwrap_or_else(|| panic!("jlist: `pm2_env.{key}` is a number, but is {}", self.get(key)))
    }
}
