//! Boxes the library's futures. Their types are deep, and the compiler would check for each caller that they
//! are `Send`.

use std::pin::Pin;

/// Erases the type of a future.
pub(super) fn boxed<'a, T>(
    future: impl Future<Output = T> + Send + 'a,
) -> Pin<Box<dyn Future<Output = T> + Send + 'a>> {
    Box::pin(future)
}
