//! Keys of age, to whom backups are encrypted.

use age::secrecy::ExposeSecret;

use super::Lab;

impl Lab {
    /// A new key in the lab's folder: its recipient, and the file that opens what was encrypted to it.
    pub fn age_key(&self, name: &str) -> (String, String) {
        let key = age::x25519::Identity::generate();
        let identity = self.folder().join(name);
        std::fs::write(&identity, key.to_string().expose_secret()).expect("the lab's folder can be written to");
        (key.to_public().to_string(), identity.display().to_string())
    }
}
