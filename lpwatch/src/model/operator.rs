//! Who ordered something.

use serde::{Deserialize, Serialize};

/// The thread that reversed or forced a transition: it wrote to the patch's file in
/// sysfs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Operator {
    /// Its id.
    pub tid: u32,
    /// Its name; bytes that are not UTF-8 are replaced.
    pub comm: String,
    /// The id of its user.
    pub uid: u32,
    /// The id of the user who logged in, as the kernel's audit knows it: also after
    /// `sudo`. `null` if nobody did, for example of a service, or if the kernel has no
    /// audit.
    pub login_uid: Option<u32>,
}

impl Operator {
    /// `sh, thread 812, uid 0, login uid 1000`
    #[must_use]
    pub fn words(&self) -> String {
        let Self { tid, comm, uid, .. } = self;
        let login = self.login_uid.map(|uid| format!(", login uid {uid}"));
        format!(
            "{comm}, thread {tid}, uid {uid}{}",
            login.unwrap_or_default()
        )
    }
}
