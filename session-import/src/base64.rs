//! Base64 as Python's libraries write it: padded, with line breaks or without.

use data_encoding::BASE64;

use crate::error::{ImportError, ImportErrorKind};
use crate::imported::BYTES_MAX;

/// The decoded bytes, or `None` for what is not base64.
///
/// # Errors
///
/// [`ImportErrorKind::TooLarge`]: more than [`BYTES_MAX`] bytes would come of it.
pub(crate) fn decode(text: &[u8]) -> Result<Option<Vec<u8>>, ImportError> {
    let text: Vec<u8> = text
        .iter()
        .copied()
        .filter(|byte| !byte.is_ascii_whitespace())
        .collect();
    if text.len() / 4 * 3 > BYTES_MAX + 2 {
        return Err(ImportError::new(
            ImportErrorKind::TooLarge,
            format!("reading an old session failed: it has more than {BYTES_MAX} bytes"),
        ));
    }
    Ok(BASE64.decode(&text).ok())
}
