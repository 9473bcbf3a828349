//! Makes thumbnails. Size, pixels and memory are limited before decoding, because input may be crafted to exhaust
//! the decoder; a picture beyond the limits or a damaged one has no thumbnail.

use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use image::codecs::jpeg::JpegEncoder;
use image::metadata::Orientation;
use image::{DynamicImage, ImageDecoder as _, ImageReader, Limits, RgbImage, RgbaImage};

/// Maximum length of a side, in pixels.
const LONGEST_SIDE: u32 = 320;
const QUALITY: u8 = 75;
/// Maximum bytes of a file that gets a thumbnail.
const MAX_FILE_BYTES: u64 = 32 * 1024 * 1024;
const MAX_SIDE: u32 = 16_384;
const MAX_PIXELS: u64 = 24_000_000;
/// Maximum bytes that decoding may allocate.
const MAX_MEMORY_BYTES: u64 = 96 * 1024 * 1024;

/// Whether files of this type can have a thumbnail.
pub(super) fn suits(mimetype: &str) -> bool {
    matches!(mimetype, "image/jpeg" | "image/png" | "image/gif" | "image/webp")
}

/// A JPEG of the picture, or `None` if it is too large or cannot be decoded. Blocks and uses the processor.
pub(super) fn thumbnail(path: &Path) -> Option<Vec<u8>> {
    let file = File::open(path).ok()?;
    if file.metadata().ok()?.len() > MAX_FILE_BYTES {
        return None;
    }
    let (picture, orientation) = decode(file).ok()??;
    let mut small = if picture.width().max(picture.height()) > LONGEST_SIDE {
        picture.thumbnail(LONGEST_SIDE, LONGEST_SIDE)
    } else {
        picture
    };
    small.apply_orientation(orientation);
    let mut jpeg = Vec::new();
    let encoder = JpegEncoder::new_with_quality(&mut jpeg, QUALITY);
    on_white(&small.into_rgba8()).write_with_encoder(encoder).ok()?;
    Some(jpeg)
}

/// The picture and its orientation; `None` if it is beyond the limits.
fn decode(file: File) -> image::ImageResult<Option<(DynamicImage, Orientation)>> {
    let mut reader = ImageReader::new(BufReader::new(file)).with_guessed_format()?;
    let mut limits = Limits::default();
    limits.max_image_width = Some(MAX_SIDE);
    limits.max_image_height = Some(MAX_SIDE);
    limits.max_alloc = Some(MAX_MEMORY_BYTES);
    reader.limits(limits);
    let mut decoder = reader.into_decoder()?;
    let (width, height) = decoder.dimensions();
    if u64::from(width) * u64::from(height) > MAX_PIXELS || decoder.total_bytes() > MAX_MEMORY_BYTES {
        return Ok(None);
    }
    let orientation = decoder.orientation()?;
    Ok(Some((DynamicImage::from_decoder(decoder)?, orientation)))
}

/// Replaces transparency by white, because JPEG has none.
fn on_white(picture: &RgbaImage) -> RgbImage {
    RgbImage::from_fn(picture.width(), picture.height(), |x, y| {
        let [red, green, blue, alpha] = picture.get_pixel(x, y).0;
        let over = |colour: u8| {
            let mixed = (u32::from(colour) * u32::from(alpha) + 255 * (255 - u32::from(alpha))) / 255;
            u8::try_from(mixed).unwrap_or(u8::MAX)
        };
        image::Rgb([over(red), over(green), over(blue)])
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::ImageFormat;

    fn of(bytes: &[u8]) -> Option<DynamicImage> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), bytes).unwrap();
        thumbnail(file.path())
            .map(|jpeg| image::load_from_memory_with_format(&jpeg, ImageFormat::Jpeg).unwrap())
    }

    fn encoded(width: u32, height: u32, format: ImageFormat) -> Vec<u8> {
        let mut bytes = std::io::Cursor::new(Vec::new());
        DynamicImage::new_rgb8(width, height).write_to(&mut bytes, format).unwrap();
        bytes.into_inner()
    }

    #[test]
    fn thumbnail_keeps_proportions_in_every_format() {
        for format in [ImageFormat::Jpeg, ImageFormat::Png, ImageFormat::Gif, ImageFormat::WebP] {
            let small = of(&encoded(640, 160, format)).unwrap();
            assert_eq!((small.width(), small.height()), (320, 80), "{format:?}");
        }
        let small = of(&encoded(20, 10, ImageFormat::Png)).unwrap();
        assert_eq!((small.width(), small.height()), (20, 10));
    }

    #[test]
    fn transparent_picture_gets_white_background() {
        let mut bytes = std::io::Cursor::new(Vec::new());
        DynamicImage::new_rgba8(8, 8).write_to(&mut bytes, ImageFormat::Png).unwrap();
        let pixel = of(&bytes.into_inner()).unwrap().to_rgb8().get_pixel(4, 4).0;
        assert!(pixel.iter().all(|colour| *colour > 250), "{pixel:?}");
    }

    #[test]
    fn truncated_or_huge_picture_has_no_thumbnail() {
        let mut huge = encoded(1, 1, ImageFormat::Png);
        huge[16..20].copy_from_slice(&50_000_u32.to_be_bytes());
        huge[20..24].copy_from_slice(&50_000_u32.to_be_bytes());
        assert!(of(&huge).is_none());
        assert!(of(&encoded(6_000, 4_001, ImageFormat::Png)).is_none(), "just beyond the pixels");
        for format in [ImageFormat::Png, ImageFormat::WebP, ImageFormat::Gif] {
            let whole = encoded(640, 480, format);
            assert!(of(&whole[..whole.len() / 2]).is_none(), "{format:?}");
        }
        assert!(of(b"").is_none() && of(b"\xff\xd8\xff").is_none());
    }
}
