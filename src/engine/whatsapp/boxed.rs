//! Futures of the library's without their types.

use std::pin::Pin;

/// A future whose type is erased. The library's are deep, and the compiler would prove anew for each of their callers,
/// up to the session's own futures, that they can be moved between threads.
pub(super) fn boxed<'a, T>(
    future: impl Future<Output = T> + Send + 'a,
) -> Pin<Box<dyn Future<Output = T> + Send + 'a>> {
    Box::pin(future)
}
