//! Setup.
use anyhow::Result;
pub fn for_guests() -> Result<()> {
    Ok(())
}
