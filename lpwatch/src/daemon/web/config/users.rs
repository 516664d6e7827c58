//! Users and passwords: HTTP basic authentication against bcrypt hashes.
//!
//! A hash takes a tenth of a second on purpose. It is therefore computed on a
//! thread of its own, one at a time. A correct password is remembered (as a
//! keyed digest, in memory only), so that only the first scrape takes the time.

use std::{
    collections::{BTreeMap, HashMap},
    str::FromStr,
    sync::{Mutex, PoisonError},
};

use axum::http::{HeaderMap, header::AUTHORIZATION};
use base64::{Engine, prelude::BASE64_STANDARD};
use bcrypt::HashParts;
use ring::{hmac, rand::SystemRandom};
use tokio::sync::Semaphore;

use crate::error::Error;

/// A hash of this cost takes some seconds; each step above doubles the time.
const HIGHEST_COST: u32 = 15;

/// Names and bcrypt hashes. Without any, everyone has access.
#[derive(Debug, Default)]
pub(in crate::daemon) struct Users {
    hashes: BTreeMap<String, String>,
    /// The highest cost among the hashes.
    cost: u32,
}

impl Users {
    /// # Errors
    /// Which user's hash cannot be used, and why.
    pub fn new(hashes: BTreeMap<String, String>) -> Result<Self, String> {
        let mut highest = 0;
        for (name, hash) in &hashes {
            // Not the hash itself: this goes to the log.
            let parts = HashParts::from_str(hash).map_err(|error| {
                format!(
                    "the password of `{name}` is not a bcrypt hash ({error}); make one with \
                     htpasswd -nBC 10 {name}"
                )
            })?;
            let cost = parts.get_cost();
            if cost > HIGHEST_COST {
                return Err(format!(
                    "the hash of `{name}` has a cost of {cost}: the limit is {HIGHEST_COST}, as a check \
                     would take too long"
                ));
            }
            highest = highest.max(cost);
        }
        Ok(Self {
            hashes,
            cost: highest,
        })
    }

    /// The hash of this user's password. An unknown user has a hash that takes
    /// as long and fits no password, so that the time of a response does not
    /// reveal names.
    fn hash_of(&self, user: &str) -> (String, bool) {
        match self.hashes.get(user) {
            Some(hash) => (hash.clone(), true),
            None => (format!("$2b${:02}${}", self.cost, ".".repeat(53)), false),
        }
    }
}

/// Checks passwords.
pub(in crate::daemon) struct Authenticator {
    key: hmac::Key,
    /// For each user the digest of the hash and the password that fits it.
    known: Mutex<HashMap<String, hmac::Tag>>,
    turn: Semaphore,
}

impl Authenticator {
    /// # Errors
    /// The kernel provides no random bytes.
    pub fn new() -> Result<Self, Error> {
        let key = hmac::Key::generate(hmac::HMAC_SHA256, &SystemRandom::new());
        let key = key.map_err(|_| Error::Io {
            action: "make a random key",
            source: std::io::Error::other("the kernel provides no random bytes"),
        })?;
        Ok(Self {
            key,
            known: Mutex::default(),
            turn: Semaphore::new(1),
        })
    }

    /// Whether a request with these headers comes from one of the users.
    pub async fn admits(&self, users: &Users, headers: &HeaderMap) -> bool {
        if users.hashes.is_empty() {
            return true;
        }
        let Some((user, password)) = credentials(headers) else {
            return false;
        };
        let (hash, exists) = users.hash_of(&user);
        let proof = [hash.as_bytes(), b"\0", password.as_bytes()].concat();
        if self.knows(&user, &proof) {
            return true;
        }
        let Ok(_turn) = self.turn.acquire().await else {
            return false;
        };
        let verified = tokio::task::spawn_blocking(move || bcrypt::verify(password, &hash)).await;
        let fits = exists && matches!(verified, Ok(Ok(true)));
        if fits {
            let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
            known.insert(user, hmac::sign(&self.key, &proof));
        }
        fits
    }

    fn knows(&self, user: &str, proof: &[u8]) -> bool {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known
            .get(user)
            .is_some_and(|tag| hmac::verify(&self.key, proof, tag.as_ref()).is_ok())
    }
}

/// User and password of `Authorization: Basic …`.
fn credentials(headers: &HeaderMap) -> Option<(String, String)> {
    let value = headers.get(AUTHORIZATION)?.to_str().ok()?;
    let (scheme, encoded) = value.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let decoded = BASE64_STANDARD.decode(encoded.trim()).ok()?;
    let text = String::from_utf8(decoded).ok()?;
    let (user, password) = text.split_once(':')?;
    Some((user.to_owned(), password.to_owned()))
}
