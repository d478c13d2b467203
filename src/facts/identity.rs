//! What must be unique among nodes.

use super::{error::FactError, texts::Texts};
use crate::model::facts::Identity;

const PRODUCT_UUID: &str = "/sys/class/dmi/id/product_uuid";

/// Small texts that [`parse`] needs.
pub const TEXTS: &[&str] = &["/etc/machine-id", "/proc/sys/kernel/hostname", PRODUCT_UUID];

/// # Errors
/// The host name could not be read. A machine id that is missing or empty comes as an empty text, which no node may have.
pub fn parse(texts: &Texts) -> Result<Identity, FactError> {
    Ok(Identity {
        hostname: texts.need("/proc/sys/kernel/hostname")?.trim().to_owned(),
        machine_id: texts.get("/etc/machine-id")?.unwrap_or_default().trim().to_owned(),
        // Firmware without one makes the file missing, unreadable or a row of zeros: the same to us.
        product_uuid: texts
            .get(PRODUCT_UUID)
            .unwrap_or_default()
            .map(|text| text.trim().to_ascii_lowercase())
            .filter(|text| text.bytes().any(|byte| byte != b'0' && byte != b'-')),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_virtual_machine_has_all_three() {
        let texts = Texts::of([
            ("/etc/machine-id", "0f1e2d3c4b5a69788796a5b4c3d2e1f0\n"),
            ("/proc/sys/kernel/hostname", "cp1\n"),
            (PRODUCT_UUID, "4C4C4544-0039-5A10-8052-B4C04F564433\n"),
        ]);
        let identity = parse(&texts).expect("read");
        assert_eq!(identity.hostname, "cp1");
        assert_eq!(identity.machine_id, "0f1e2d3c4b5a69788796a5b4c3d2e1f0");
        assert_eq!(identity.product_uuid.as_deref(), Some("4c4c4544-0039-5a10-8052-b4c04f564433"));
    }

    #[test]
    fn zeros_are_no_uuid_and_an_image_may_have_no_machine_id() {
        let texts = Texts::of([
            ("/proc/sys/kernel/hostname", "cp1\n"),
            (PRODUCT_UUID, "00000000-0000-0000-0000-000000000000\n"),
        ]);
        let identity = parse(&texts).expect("read");
        assert_eq!((identity.machine_id.as_str(), identity.product_uuid), ("", None));
    }
}
