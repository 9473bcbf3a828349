//! QR codes as terminal text, plain text, PNG, SVG and data URL.
//!
//! Pure functions of the code's content; nothing here is cached, stored or logged. Every drawing is at
//! error correction level L, which keeps a linking code of about 240 bytes at 57×57 modules, and has
//! the quiet zone of four modules that scanners need.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use qrcode::render::svg;
use qrcode::types::QrError as EncodeError;
use qrcode::{Color, EcLevel, QrCode};
use thiserror::Error;

/// Modules of light around the code, as ISO/IEC 18004 asks for.
const QUIET: usize = 4;
/// Pixels for each module in a PNG, and user units in an SVG.
const SCALE: usize = 8;

/// Why a code could not be drawn.
#[derive(Debug, Error)]
pub enum QrError {
    /// The content does not fit into a QR code (2,953 bytes at most).
    #[error("the code does not fit into a QR code")]
    Encode(#[source] EncodeError),
    /// The PNG could not be written.
    #[error("the QR code could not be written as PNG")]
    Png(#[from] png::EncodingError),
}

/// A square of modules, its quiet zone included. `true` is dark.
struct Modules {
    side: usize,
    dark: Vec<bool>,
}

impl Modules {
    fn of(code: &str) -> Result<Self, QrError> {
        let qr = encode(code)?;
        let inner = qr.width();
        let side = inner + 2 * QUIET;
        let mut dark = vec![false; side * side];
        for (at, color) in qr.to_colors().into_iter().enumerate() {
            let (x, y) = (at % inner + QUIET, at / inner + QUIET);
            dark[y * side + x] = color == Color::Dark;
        }
        Ok(Self { side, dark })
    }

    /// Below the last row everything is light.
    fn is_dark(&self, x: usize, y: usize) -> bool {
        self.dark.get(y * self.side + x).copied().unwrap_or(false)
    }

    /// The rows of a text drawing, two rows of modules in each: upper and lower module of every cell.
    fn cells(&self) -> impl Iterator<Item = impl Iterator<Item = (bool, bool)>> {
        (0..self.side)
            .step_by(2)
            .map(move |y| (0..self.side).map(move |x| (self.is_dark(x, y), self.is_dark(x, y + 1))))
    }
}

fn encode(code: &str) -> Result<QrCode, QrError> {
    QrCode::with_error_correction_level(code, EcLevel::L).map_err(QrError::Encode)
}

/// Columns that [`terminal`] and [`plain_half_blocks`] take for this code.
///
/// # Errors
/// [`QrError::Encode`] when the content is too long.
pub fn columns(code: &str) -> Result<usize, QrError> {
    Ok(encode(code)?.width() + 2 * QUIET)
}

/// The code for a terminal: half blocks with explicit black and bright white, so that it scans on dark
/// and on light themes alike. Two rows of modules are one line; each line ends with a reset and `\n`.
///
/// # Errors
/// [`QrError::Encode`] when the content is too long.
pub fn terminal(code: &str) -> Result<String, QrError> {
    let modules = Modules::of(code)?;
    let mut text = String::new();
    for row in modules.cells() {
        let mut colours = None;
        for cell in row {
            if colours != Some(cell) {
                let (upper, lower) = cell;
                let foreground = if upper { 30 } else { 97 };
                let background = if lower { 40 } else { 107 };
                let _ = write!(text, "\x1b[{foreground};{background}m");
                colours = Some(cell);
            }
            text.push('▀');
        }
        text.push_str("\x1b[0m\n");
    }
    Ok(text)
}

/// The code in half blocks without colours, to be shown dark on light (a browser, an editor, paper).
///
/// # Errors
/// [`QrError::Encode`] when the content is too long.
pub fn plain_half_blocks(code: &str) -> Result<String, QrError> {
    let modules = Modules::of(code)?;
    let mut text = String::new();
    for row in modules.cells() {
        text.extend(row.map(|cell| match cell {
            (true, true) => '█',
            (true, false) => '▀',
            (false, true) => '▄',
            (false, false) => ' ',
        }));
        text.push('\n');
    }
    Ok(text)
}

/// The code as a PNG image: black and white at one bit for each pixel, eight pixels for each module.
///
/// # Errors
/// [`QrError::Encode`] when the content is too long, [`QrError::Png`] when encoding fails.
pub fn png(code: &str) -> Result<Vec<u8>, QrError> {
    let modules = Modules::of(code)?;
    let side = modules.side * SCALE;
    let mut pixels = Vec::with_capacity(side * side.div_ceil(8));
    for y in 0..side {
        let mut row = vec![0_u8; side.div_ceil(8)];
        for x in 0..side {
            // One bit of grey: 1 is white.
            if !modules.is_dark(x / SCALE, y / SCALE) {
                row[x / 8] |= 0x80 >> (x % 8);
            }
        }
        pixels.extend_from_slice(&row);
    }
    encode_png(&pixels, side)
}

fn encode_png(pixels: &[u8], side: usize) -> Result<Vec<u8>, QrError> {
    // The largest code has 177 modules a side, so a side never comes near this limit.
    let side = u32::try_from(side).unwrap_or(u32::MAX);
    let mut image = Vec::new();
    let mut encoder = png::Encoder::new(&mut image, side, side);
    encoder.set_color(png::ColorType::Grayscale);
    encoder.set_depth(png::BitDepth::One);
    let mut writer = encoder.write_header()?;
    writer.write_image_data(pixels)?;
    writer.finish()?;
    Ok(image)
}

/// The code as an SVG document.
///
/// # Errors
/// [`QrError::Encode`] when the content is too long.
pub fn svg(code: &str) -> Result<String, QrError> {
    let scale = u32::try_from(SCALE).unwrap_or(u32::MAX);
    Ok(encode(code)?.render::<svg::Color<'_>>().quiet_zone(true).module_dimensions(scale, scale).build())
}

/// The PNG as a `data:` URL for an `<img>`.
///
/// # Errors
/// As [`png`].
pub fn data_url(code: &str) -> Result<String, QrError> {
    Ok(format!("data:image/png;base64,{}", STANDARD.encode(png(code)?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As long as a real linking code: 241 bytes.
    fn linking_code() -> String {
        let part = "mF3q0Zk8Wd1Jx7Lr+5TnBvCy2Hs6Ae9Gu4Pi/KoMw=";
        let mut code = format!("2@{}", "Qx7Lr5TnBvCy2Hs6Ae9Gu4PiKoMwmF3q0Zk8Wd1J".repeat(3));
        while code.len() < 241 {
            code.push(',');
            code.push_str(part);
        }
        code.truncate(241);
        code
    }

    #[test]
    fn linking_code_fits_80_column_terminal() {
        let text = terminal(&linking_code()).unwrap();
        assert_eq!(text.lines().count(), 33);
        assert!(text.lines().all(|line| line.matches('▀').count() == 65));
        assert!(text.lines().all(|line| line.ends_with("\x1b[0m")), "a theme must not bleed");
        assert_eq!(columns(&linking_code()).unwrap(), 65);
    }

    #[test]
    fn plain_text_qr_has_quiet_zone() {
        let text = plain_half_blocks(&linking_code()).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 33);
        assert!(lines[0].trim().is_empty() && lines[1].trim().is_empty() && lines[32].trim().is_empty());
        assert!(lines.iter().all(|line| line.starts_with("    ") && line.ends_with("    ")));
        assert!(!text.contains('\x1b'));
    }

    #[test]
    fn qr_image_is_square_and_small() {
        let image = png(&linking_code()).unwrap();
        let reader = png::Decoder::new(std::io::Cursor::new(&image)).read_info().unwrap();
        assert_eq!((reader.info().width, reader.info().height), (520, 520));
        assert!(image.len() < 8 * 1024, "{} bytes", image.len());
        assert!(data_url("x").unwrap().starts_with("data:image/png;base64,iVBOR"));
    }

    #[test]
    fn qr_svg_contains_modules_only() {
        let image = svg("<script>&").unwrap();
        assert!(image.contains("<svg") && !image.contains("<script"));
    }

    #[test]
    fn oversized_qr_content_is_error() {
        assert!(matches!(terminal(&"x".repeat(3_000)), Err(QrError::Encode(_))));
        assert!(matches!(png(&"x".repeat(3_000)), Err(QrError::Encode(_))));
    }
}
