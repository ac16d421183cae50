//! SCRAM as a client speaks it, to the server.
//!
//! In: the server's messages, and ClientKey. Out: ours, and whether the server has proven that it keeps the same verifier. As
//! libpq, it binds the channel where it can, and tells the server where it could and was not offered to.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::keys::{KEY_BYTES, Key};
use super::{BINDING, Fault, SCRAM, SCRAM_PLUS, attribute, is_nonce, text};

/// A login that begins.
#[derive(Debug)]
pub struct Login {
    /// What to name to the server.
    pub mechanism: &'static str,
    header: String,
    end_point: Option<Vec<u8>>,
    nonce: String,
}

impl Login {
    /// Chooses among what the server offers; `None` where SCRAM is not. `end_point`: the data of the server's end of our channel, where
    /// it has any.
    pub fn new<'a>(
        offered: impl IntoIterator<Item = &'a [u8]>,
        end_point: Option<Vec<u8>>,
        nonce: String,
    ) -> Option<Login> {
        let (mut plain, mut plus) = (false, false);
        for mechanism in offered {
            plain |= mechanism == SCRAM.as_bytes();
            plus |= mechanism == SCRAM_PLUS.as_bytes();
        }
        let (mechanism, header, end_point) = match end_point {
            Some(data) if plus => (SCRAM_PLUS, format!("p={BINDING},,"), Some(data)),
            Some(_) if plain => (SCRAM, "y,,".to_owned(), None),
            _ if plain => (SCRAM, "n,,".to_owned(), None),
            _ => return None,
        };
        Some(Login { mechanism, header, end_point, nonce })
    }

    fn bare(&self) -> String {
        // The server takes the role from the start-up message.
        format!("n=,r={}", self.nonce)
    }

    /// The client-first message.
    pub fn message(&self) -> String {
        format!("{}{}", self.header, self.bare())
    }

    /// Reads the server-first message.
    ///
    /// # Errors
    /// It does not read.
    pub fn challenged(self, message: &[u8]) -> Result<Challenge, Fault> {
        let message = text(message)?;
        let mut rest = message;
        let nonce = attribute('r', &mut rest)?;
        if !is_nonce(nonce) || nonce.len() <= self.nonce.len() || !nonce.starts_with(&self.nonce) {
            return Err(Fault::Malformed);
        }
        let salt = attribute('s', &mut rest)?;
        let iterations = attribute('i', &mut rest)?.parse().map_err(|_| Fault::Malformed)?;
        let channel = [self.header.as_bytes(), self.end_point.as_deref().unwrap_or_default()].concat();
        let unproven = format!("c={},r={nonce}", STANDARD.encode(channel));
        Ok(Challenge {
            said: format!("{},{message},{unproven}", self.bare()).into_bytes(),
            salt: salt.to_owned(),
            iterations,
            unproven,
        })
    }
}

/// What the server wants to have proven.
#[derive(Debug)]
pub struct Challenge {
    /// The role's salt, in Base64 as sent; one made up, for a role that the server does not let in.
    pub salt: String,
    /// The role's iterations.
    pub iterations: u32,
    unproven: String,
    said: Vec<u8>,
}

impl Challenge {
    /// The client-final message of one who has ClientKey.
    pub fn prove(&self, client_key: &Key) -> String {
        let proof = client_key.xor(&client_key.hash().sign(&self.said));
        format!("{},p={}", self.unproven, STANDARD.encode(proof.bytes()))
    }

    /// The client-final message of one who has not: for the server to refuse, and to log, as it does every wrong password.
    pub fn fail(&self) -> String {
        format!("{},p={}", self.unproven, STANDARD.encode([0; KEY_BYTES]))
    }

    /// Whether the server-final message proves that the server has ServerKey.
    pub fn is_met_by(&self, message: &[u8], server_key: &Key) -> bool {
        let proof = text(message).ok().and_then(|message| message.strip_prefix("v="));
        let proof = proof.and_then(|proof| STANDARD.decode(proof).ok()).as_deref().and_then(Key::new);
        proof == Some(server_key.sign(&self.said))
    }
}
