//! Setup.
use anyhow::Result;
pub fn for_guests() -> Result<()> {
    Ok(())
}
pub fn for_modules() -> Result<()> {
    Ok(())
}
