//! SCRAM as a server speaks it, to the client: as `auth-scram.c` does.
//!
//! In: the client's messages. Out: ours, and ClientKey where the proof is right. What is wrong with a message is told apart from a wrong
//! password; a role that does not exist is not told apart from one whose password is wrong.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::keys::Key;
use super::{BINDING, Fault, SCRAM, SCRAM_PLUS, attribute, is_nonce, text};

/// What the client is offered.
pub fn mechanisms(end_point: Option<&[u8]>) -> Vec<&'static str> {
    match end_point {
        Some(_) => vec![SCRAM_PLUS, SCRAM],
        None => vec![SCRAM],
    }
}

/// The client's first message.
#[derive(Debug)]
pub struct First {
    /// Without the header: a part of what is signed.
    bare: String,
    nonce: String,
    /// What the client has to say of its channel in its last message, in Base64.
    channel: String,
    is_bound: bool,
}

impl First {
    /// Reads it. `mechanism`: what the client chose; `end_point`: the data of our end of its channel, where that was offered.
    ///
    /// # Errors
    /// It does not read, or does not fit what was offered.
    pub fn read(mechanism: &[u8], message: &[u8], end_point: Option<&[u8]>) -> Result<First, Fault> {
        let end_point = match (mechanism, end_point) {
            (chosen, Some(data)) if chosen == SCRAM_PLUS.as_bytes() => Some(data),
            (chosen, offered) if chosen == SCRAM.as_bytes() => {
                if offered.is_some() && message.first() == Some(&b'y') {
                    return Err(Fault::Negotiation);
                }
                None
            }
            _ => return Err(Fault::Mechanism),
        };
        let message = text(message)?;
        let (flag, rest) = message.split_once(',').ok_or(Fault::Malformed)?;
        let is_bound = match (flag, end_point) {
            ("n" | "y", None) => false,
            (flag, Some(_)) if flag.strip_prefix("p=") == Some(BINDING) => true,
            _ => return Err(Fault::Malformed),
        };
        let (authorization, bare) = rest.split_once(',').ok_or(Fault::Malformed)?;
        if !authorization.is_empty() || bare.starts_with("m=") {
            return Err(Fault::Unsupported);
        }
        let mut rest = bare;
        // The role is that of the start-up message, whatever stands here.
        attribute('n', &mut rest)?;
        let nonce = attribute('r', &mut rest)?;
        if !is_nonce(nonce) {
            return Err(Fault::Malformed);
        }
        let channel = [flag.as_bytes(), b",,", end_point.unwrap_or_default()].concat();
        Ok(First { bare: bare.to_owned(), nonce: nonce.to_owned(), channel: STANDARD.encode(channel), is_bound })
    }

    /// The answer to it: our nonce behind the client's, and how to hash the password.
    pub fn challenge(self, nonce: &str, salt: &str, iterations: u32) -> Challenged {
        let nonce = format!("{}{nonce}", self.nonce);
        let message = format!("r={nonce},s={salt},i={iterations}");
        Challenged { first: self, nonce, message }
    }
}

/// A client that has to prove what it knows.
#[derive(Debug)]
pub struct Challenged {
    first: First,
    nonce: String,
    message: String,
}

/// What came of a proof.
#[derive(Debug)]
pub enum Proof {
    /// It is right.
    Right {
        /// The client's key.
        client_key: Key,
        /// All that was said: what we have to sign in turn.
        said: Vec<u8>,
    },
    /// It is not.
    Wrong,
}

impl Challenged {
    /// The server-first message.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// Judges the client's last message. Without `stored_key` every proof is wrong, but is looked at as any other.
    ///
    /// # Errors
    /// It does not read, or speaks of another channel.
    pub fn judge(&self, message: &[u8], stored_key: Option<&Key>) -> Result<Proof, Fault> {
        let message = text(message)?;
        let (unproven, proof) = message.rsplit_once(",p=").ok_or(Fault::Malformed)?;
        let mut rest = unproven;
        if attribute('c', &mut rest)? != self.first.channel {
            return Err(if self.first.is_bound { Fault::Binding } else { Fault::Malformed });
        }
        if attribute('r', &mut rest)? != self.nonce {
            return Err(Fault::Malformed);
        }
        let proof = STANDARD.decode(proof).ok().as_deref().and_then(Key::new).ok_or(Fault::Malformed)?;
        let said = format!("{},{},{unproven}", self.first.bare, self.message).into_bytes();
        // As long for a role that does not exist.
        let nobody = Key::nobody();
        let client_key = proof.xor(&stored_key.unwrap_or(&nobody).sign(&said));
        match stored_key {
            Some(stored_key) if client_key.hash() == *stored_key => Ok(Proof::Right { client_key, said }),
            _ => Ok(Proof::Wrong),
        }
    }
}

/// The server-final message: our own proof, of ServerKey.
pub fn signature(server_key: &Key, said: &[u8]) -> String {
    format!("v={}", STANDARD.encode(server_key.sign(said).bytes()))
}
