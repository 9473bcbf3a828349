//! Documents absent values in requests: `null` in a body, an empty value in a query. Nothing outside a body
//! is `null`, and required fields never are.

use std::collections::BTreeSet;

use utoipa::openapi::path::{Operation, ParameterIn};
use utoipa::openapi::schema::{ArrayItems, Components, Object, Schema, SchemaType, Type};
use utoipa::openapi::{RefOr, Required};

/// Optional fields of request bodies may be `null`.
pub fn allow_null(components: &mut Components, bodies: BTreeSet<String>) {
    let mut waiting: Vec<String> = bodies.into_iter().collect();
    let mut seen = BTreeSet::new();
    while let Some(name) = waiting.pop() {
        if !seen.insert(name.clone()) {
            continue;
        }
        if let Some(schema) = components.schemas.get_mut(&name) {
            within(schema, &mut waiting);
        }
    }
}

/// The names of the schemas that an operation's body refers to.
pub fn body_of(operation: &Operation) -> Vec<String> {
    let mut names = Vec::new();
    let Some(RefOr::T(body)) = &operation.request_body else { return names };
    for content in body.content.values() {
        if let RefOr::T(content) = content
            && let Some(schema) = &content.schema
        {
            within(&mut schema.clone(), &mut names);
        }
    }
    names
}

fn within(schema: &mut RefOr<Schema>, refers: &mut Vec<String>) {
    match schema {
        RefOr::Ref(reference) => {
            refers.extend(reference.ref_location.rsplit('/').next().map(str::to_owned));
        }
        RefOr::T(Schema::Object(object)) => within_object(object, refers),
        RefOr::T(Schema::Array(list)) => {
            if let ArrayItems::RefOrSchema(items) = &mut list.items {
                within(items, refers);
            }
        }
        RefOr::T(Schema::OneOf(one)) => one.items.iter_mut().for_each(|item| within(item, refers)),
        RefOr::T(Schema::AllOf(all)) => all.items.iter_mut().for_each(|item| within(item, refers)),
        RefOr::T(Schema::AnyOf(any)) => any.items.iter_mut().for_each(|item| within(item, refers)),
        RefOr::T(_) => {}
    }
}

fn within_object(object: &mut Object, refers: &mut Vec<String>) {
    for (name, field) in &mut object.properties {
        within(field, refers);
        if object.required.contains(name) {
            continue;
        }
        match field {
            RefOr::T(Schema::Object(field)) => add_null(&mut field.schema_type),
            RefOr::T(Schema::Array(field)) => add_null(&mut field.schema_type),
            _ => {}
        }
    }
}

fn add_null(kind: &mut SchemaType) {
    match kind {
        SchemaType::Type(only) if *only != Type::Null => {
            *kind = SchemaType::Array(vec![only.clone(), Type::Null]);
        }
        SchemaType::Array(types) if !types.contains(&Type::Null) => types.push(Type::Null),
        _ => {}
    }
}

/// Nothing in a query or a header is `null`; an optional text in a query may be empty.
pub fn outside_a_body(operation: &mut Operation) {
    for parameter in operation.parameters.iter_mut().flatten() {
        let RefOr::T(parameter) = parameter else { continue };
        let may_be_empty =
            parameter.parameter_in == ParameterIn::Query && parameter.required != Required::True;
        if let Some(RefOr::T(schema)) = &mut parameter.schema {
            never_null(schema);
            if may_be_empty {
                allow_empty(schema);
            }
        }
    }
}

fn never_null(schema: &mut Schema) {
    let kind = match schema {
        Schema::Object(object) => &mut object.schema_type,
        Schema::Array(list) => &mut list.schema_type,
        _ => return,
    };
    if let SchemaType::Array(types) = kind {
        types.retain(|found| *found != Type::Null);
        if let [only] = types.as_slice() {
            *kind = SchemaType::Type(only.clone());
        }
    }
}

fn allow_empty(schema: &mut Schema) {
    if let Schema::Object(text) = schema
        && text.schema_type == SchemaType::Type(Type::String)
    {
        text.min_length = None;
        text.pattern = text.pattern.take().map(|pattern| format!("^$|{pattern}"));
    }
}
