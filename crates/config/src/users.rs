//! Users of this system, as `/etc/passwd` has them (passwd(5)); what PM2 reads too.

use std::collections::BTreeMap;

/// A user and his home.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct User {
    pub(crate) name: String,
    pub(crate) home: String,
}

impl User {
    /// Sets the variables by which programs know their user.
    pub(crate) fn describe_in(&self, environment: &mut BTreeMap<String, String>) {
        let variables = [("HOME", &self.home), ("USER", &self.name), ("LOGNAME", &self.name)];
        environment.extend(variables.map(|(name, value)| (name.to_owned(), value.clone())));
    }
}

/// Finds a user by name or number. `Err` for a name that does not exist; a number may well have no entry.
pub(crate) fn find(user: &str) -> Result<Option<User>, String> {
    let database = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    match find_in(&database, user) {
        None if user.parse::<u32>().is_err() => Err(format!("there is no user \"{user}\" in /etc/passwd")),
        found => Ok(found),
    }
}

fn find_in(database: &str, user: &str) -> Option<User> {
    database.lines().find_map(|line| {
        let fields: Vec<&str> = line.split(':').collect();
        let [name, _password, number, _group, _comment, home, ..] = fields[..] else {
            return None;
        };
        (name == user || number == user).then(|| User {
            name: name.to_owned(),
            home: home.to_owned(),
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const DATABASE: &str = "root:x:0:0:root:/root:/bin/bash\nbroken\nwww-data:x:33:33:www:/var/www:/sbin/nologin\n";

    #[test]
    fn a_user_is_found_by_name_and_by_number() {
        let www = User {
            name: "www-data".into(),
            home: "/var/www".into(),
        };
        assert_eq!(find_in(DATABASE, "www-data"), Some(www.clone()));
        assert_eq!(find_in(DATABASE, "33"), Some(www));
        assert_eq!(find_in(DATABASE, "nobody"), None);
    }
}
