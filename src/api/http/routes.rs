//! Serves one operation at several paths: older paths, and the same operation below a device. The document
//! has an entry for each path, made from that of the operation.

use axum::Extension;
use utoipa::openapi::path::{Operation, PathItem, Paths};
use utoipa_axum::router::UtoipaMethodRouter;

use super::ApiState;

type Routes = UtoipaMethodRouter<ApiState>;

/// The operation at an older path, under an operation id and a tag of its own.
pub fn older_path(routes: Routes, path: &str, operation_id: &str, tag: &str) -> Routes {
    at(routes, path, |operation| {
        operation.operation_id = Some(operation_id.to_owned());
        operation.tags = Some(vec![tag.to_owned()]);
        operation.summary = operation.summary.take().map(|summary| format!("{summary} (older path)"));
    })
}

/// The operation below `/devices/{id}`: `listWebhooks` becomes `listDeviceWebhooks`.
pub fn below_device(routes: Routes) -> Routes {
    let path = routes.1.paths.keys().next().map(|path| format!("/devices/{{id}}{path}")).unwrap_or_default();
    at(routes, &path, |operation| {
        operation.operation_id = operation.operation_id.take().map(|id| with_device(&id));
        operation.summary = operation.summary.take().map(|summary| format!("{summary} of a device"));
    })
}

/// The operation for one of several changes: the handler takes `change` as an [`Extension`].
pub fn for_change<C: Clone + Send + Sync + 'static>(
    routes: Routes,
    path: &str,
    operation_id: &str,
    summary: &str,
    change: C,
) -> Routes {
    let (schemas, paths, router) = at(routes, path, |operation| {
        operation.operation_id = Some(operation_id.to_owned());
        operation.summary = Some(summary.to_owned());
    });
    (schemas, paths, router.layer(Extension(change)))
}

fn at((schemas, paths, router): Routes, path: &str, mut change: impl FnMut(&mut Operation)) -> Routes {
    let mut moved = Paths::new();
    for mut item in paths.paths.into_values() {
        let PathItem { get, put, post, delete, patch, .. } = &mut item;
        [get, put, post, delete, patch].into_iter().flatten().for_each(&mut change);
        moved.paths.insert(path.to_owned(), item);
    }
    (schemas, moved, router)
}

/// With `Device` behind the verb.
fn with_device(operation_id: &str) -> String {
    let verb = operation_id.find(char::is_uppercase).unwrap_or(operation_id.len());
    format!("{}Device{}", &operation_id[..verb], &operation_id[verb..])
}
