//! The limits of requests, taken from their OpenAPI schemas: types, ranges, lengths, words and required
//! fields. They are compiled once for each type of request; patterns and the least number of entries are left
//! to `serde` and handlers.

use std::any::TypeId;
use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

use parking_lot::RwLock;
use serde_json::{Map, Value};
use utoipa::openapi::path::ParameterIn;
use utoipa::{IntoParams, ToSchema};

use crate::api::http::error::FieldError;

/// The largest number up to which every whole number has a floating-point form of its own.
const EXACT: f64 = 9_007_199_254_740_991.0;
/// Schemas within schemas: no request is deeper.
const MAX_DEPTH: usize = 8;

/// The rules of one type of request.
#[derive(Debug)]
pub struct Rules {
    fields: Vec<Field>,
    is_query: bool,
}

#[derive(Debug)]
struct Field {
    name: String,
    rule: Rule,
    is_required: bool,
    /// Whether `null` is a value of a required field.
    accepts_null: bool,
    /// The first sentence of its description.
    hint: Option<String>,
}

/// The type and limits of a value.
#[derive(Debug)]
enum Rule {
    Any,
    Flag,
    Text { least_chars: usize, most_chars: Option<usize> },
    Words(Vec<String>),
    Whole { least: Option<i64>, most: Option<i64> },
    Number { least: Option<f64>, most: Option<f64> },
    List { entries: Box<Rule>, most: Option<usize> },
    Object(Vec<Field>),
    Map(Box<Rule>),
}

type Cache = RwLock<HashMap<(TypeId, bool), Arc<Rules>>>;
static CACHE: LazyLock<Cache> = LazyLock::new(Cache::default);

/// The rules of a JSON body.
pub fn rules_of_body<T: ToSchema + 'static>() -> Arc<Rules> {
    cached::<T>(false, || {
        let mut components = Vec::new();
        T::schemas(&mut components);
        let components = components.into_iter().map(|(name, schema)| (name, as_json(&schema))).collect();
        fields_of(&as_json(&T::schema()), &components, 0)
    })
}

/// The rules of a query.
pub fn rules_of_query<T: IntoParams + 'static>() -> Arc<Rules> {
    cached::<T>(true, || {
        let parameters = T::into_params(|| Some(ParameterIn::Query));
        let field = |parameter: &Value| Field {
            name: parameter["name"].as_str().unwrap_or_default().to_owned(),
            rule: rule_of(&parameter["schema"], &HashMap::new(), 0),
            is_required: parameter["required"] == true,
            accepts_null: false,
            hint: hint_of(&parameter["description"]),
        };
        parameters.iter().map(|parameter| field(&as_json(parameter))).collect()
    })
}

fn cached<T: 'static>(is_query: bool, compile: impl FnOnce() -> Vec<Field>) -> Arc<Rules> {
    let key = (TypeId::of::<T>(), is_query);
    if let Some(rules) = CACHE.read().get(&key) {
        return Arc::clone(rules);
    }
    let rules = Arc::new(Rules { fields: compile(), is_query });
    CACHE.write().insert(key, Arc::clone(&rules));
    rules
}

/// A schema as JSON. It cannot fail, because schemas are plain data.
fn as_json(schema: &impl serde::Serialize) -> Value {
    serde_json::to_value(schema).unwrap_or_default()
}

type Components = HashMap<String, Value>;

fn fields_of(schema: &Value, components: &Components, depth: usize) -> Vec<Field> {
    let required = schema["required"].as_array().map(Vec::as_slice).unwrap_or_default();
    let properties = schema["properties"].as_object().into_iter().flatten();
    let field = |(name, schema): (&String, &Value)| Field {
        name: name.clone(),
        rule: rule_of(schema, components, depth + 1),
        is_required: required.iter().any(|required| required == name),
        accepts_null: schema["type"].as_array().is_some_and(|kinds| kinds.iter().any(|kind| kind == "null")),
        hint: hint_of(&schema["description"]),
    };
    properties.map(field).collect()
}

/// The first sentence of a description, in a form that can follow a colon.
fn hint_of(description: &Value) -> Option<String> {
    let text = description.as_str()?;
    let sentence = text.split(". ").next()?.trim_end_matches('.').replace('\n', " ");
    let mut chars = sentence.chars();
    let first = chars.next()?;
    Some(format!("{}{}", first.to_lowercase(), chars.as_str()))
}

fn rule_of(schema: &Value, components: &Components, depth: usize) -> Rule {
    if depth > MAX_DEPTH {
        return Rule::Any;
    }
    if let Some(reference) = schema["$ref"].as_str() {
        let component = reference.rsplit('/').next().and_then(|name| components.get(name));
        return component.map_or(Rule::Any, |schema| rule_of(schema, components, depth + 1));
    }
    if let Some(choices) = schema["oneOf"].as_array() {
        let mut choices = choices.iter().filter(|choice| choice["type"] != "null");
        return match (choices.next(), choices.next()) {
            (Some(only), None) => rule_of(only, components, depth + 1),
            // With several choices `serde` decides.
            _ => Rule::Any,
        };
    }
    if let Some(words) = schema["enum"].as_array() {
        return Rule::Words(words.iter().filter_map(Value::as_str).map(str::to_owned).collect());
    }
    let size = |name: &str| schema[name].as_u64().and_then(|size| usize::try_from(size).ok());
    match kind_of(schema) {
        "boolean" => Rule::Flag,
        "string" => Rule::Text { least_chars: size("minLength").unwrap_or(0), most_chars: size("maxLength") },
        "integer" => Rule::Whole { least: whole(&schema["minimum"]), most: whole(&schema["maximum"]) },
        "number" => Rule::Number { least: schema["minimum"].as_f64(), most: schema["maximum"].as_f64() },
        "array" => Rule::List {
            entries: Box::new(rule_of(&schema["items"], components, depth + 1)),
            most: size("maxItems"),
        },
        "object" if schema["properties"].is_object() => Rule::Object(fields_of(schema, components, depth)),
        "object" => Rule::Map(Box::new(rule_of(&schema["additionalProperties"], components, depth + 1))),
        _ => Rule::Any,
    }
}

/// The type that is not `null`.
fn kind_of(schema: &Value) -> &str {
    match &schema["type"] {
        Value::String(kind) => kind,
        Value::Array(kinds) => {
            kinds.iter().filter_map(Value::as_str).find(|kind| *kind != "null").unwrap_or_default()
        }
        _ => "",
    }
}

/// A whole number, in any notation of JSON.
pub(super) fn whole(value: &Value) -> Option<i64> {
    let exact = |float: f64| float.fract() == 0.0 && float.abs() <= EXACT;
    value.as_i64().or_else(|| format!("{:.0}", value.as_f64().filter(|float| exact(*float))?).parse().ok())
}

impl Rules {
    /// The names of the fields.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.fields.iter().map(|field| field.name.as_str())
    }

    /// Checks a request, and gives values of a query their types. Fields of `exempt` need their type only.
    pub fn check(&self, object: &mut Map<String, Value>, exempt: &[&str], errors: &mut Vec<FieldError>) {
        let checker = Checker { is_query: self.is_query, exempt };
        checker.fields(&self.fields, object, "", errors);
    }
}

struct Checker<'a> {
    is_query: bool,
    exempt: &'a [&'a str],
}

type Verdict = Result<(), String>;

impl Checker<'_> {
    fn fields(
        &self,
        fields: &[Field],
        object: &mut Map<String, Value>,
        path: &str,
        errors: &mut Vec<FieldError>,
    ) {
        for Field { name, rule, is_required, accepts_null, hint } in fields {
            let given = object.get_mut(name);
            if *accepts_null && given.as_ref().is_some_and(|value| value.is_null()) {
                continue;
            }
            match given.filter(|value| !value.is_null()) {
                Some(value) => self.value(rule, value, &format!("{path}{name}"), errors),
                None if *is_required && !errors.iter().any(|error| error.field == *name) => {
                    let hint = hint.as_ref().map(|hint| format!(": {hint}")).unwrap_or_default();
                    errors.push(FieldError::new(format!("{path}{name}"), format!("is required{hint}")));
                }
                None => {}
            }
        }
    }

    fn value(&self, rule: &Rule, value: &mut Value, path: &str, errors: &mut Vec<FieldError>) {
        let verdict = match rule {
            Rule::Any => Ok(()),
            Rule::Object(fields) => match value {
                Value::Object(object) => return self.fields(fields, object, &format!("{path}."), errors),
                _ => Err("must be an object".to_owned()),
            },
            Rule::Map(rule) => match value {
                Value::Object(object) => {
                    for (name, value) in object.iter_mut() {
                        self.value(rule, value, &format!("{path}.{}", name.escape_debug()), errors);
                    }
                    return;
                }
                _ => Err("must be an object".to_owned()),
            },
            Rule::List { entries, most } => match self.list(value, *most) {
                Ok(list) => {
                    for (index, entry) in list.iter_mut().enumerate() {
                        self.value(entries, entry, &format!("{path}[{index}]"), errors);
                    }
                    return;
                }
                Err(message) => Err(message),
            },
            _ if self.is_query && value.is_array() => Err("is given more than once".to_owned()),
            Rule::Flag => self.flag(value),
            Rule::Words(words) => match value.as_str() {
                Some(word) if words.iter().any(|allowed| allowed == word) => Ok(()),
                _ => Err(format!("must be one of {}", words.join(", "))),
            },
            Rule::Text { least_chars, most_chars } => {
                let most_chars = most_chars.filter(|_| !self.exempt.contains(&path));
                check_text(value, *least_chars, most_chars)
            }
            Rule::Whole { least, most } => self.whole(value, *least, *most),
            Rule::Number { least, most } => self.number(value, *least, *most),
        };
        if let Err(message) = verdict {
            errors.push(FieldError::new(path, message));
        }
    }

    /// In a query a list is separated by commas, or its name is repeated.
    fn list<'v>(&self, value: &'v mut Value, most: Option<usize>) -> Result<&'v mut Vec<Value>, String> {
        if self.is_query {
            let texts = match &*value {
                Value::Array(list) => list.iter().filter_map(Value::as_str).collect(),
                other => vec![other.as_str().unwrap_or_default()],
            };
            let parts = texts.into_iter().flat_map(|text| text.split(',')).map(str::trim);
            *value = parts.filter(|part| !part.is_empty()).map(Value::from).collect();
        }
        let Value::Array(list) = value else { return Err("must be a list".to_owned()) };
        match most {
            Some(most) if list.len() > most => Err(format!("has more than {most} entries")),
            _ => Ok(list),
        }
    }

    fn flag(&self, value: &mut Value) -> Verdict {
        let flag = match &*value {
            Value::Bool(flag) => Some(*flag),
            Value::String(text) if self.is_query => match text.as_str() {
                "true" | "1" => Some(true),
                "false" | "0" => Some(false),
                _ => None,
            },
            _ => None,
        };
        *value = Value::Bool(flag.ok_or("must be true or false")?);
        Ok(())
    }

    fn whole(&self, value: &mut Value, least: Option<i64>, most: Option<i64>) -> Verdict {
        let number = match value.as_str().filter(|_| self.is_query) {
            Some(text) => text.trim().parse().ok(),
            None => whole(value),
        };
        let fits = |number: &i64| least.is_none_or(|n| n <= *number) && most.is_none_or(|n| *number <= n);
        let right = || match (least, most) {
            (Some(least), Some(most)) => format!("must be a whole number from {least} to {most}"),
            (Some(least), None) => format!("must be a whole number, at least {least}"),
            _ => "must be a whole number".to_owned(),
        };
        *value = number.filter(fits).ok_or_else(right)?.into();
        Ok(())
    }

    fn number(&self, value: &mut Value, least: Option<f64>, most: Option<f64>) -> Verdict {
        let number = match value.as_str().filter(|_| self.is_query) {
            Some(text) => text.trim().parse().ok(),
            None => value.as_f64(),
        };
        let fits = |number: &f64| least.is_none_or(|n| n <= *number) && most.is_none_or(|n| *number <= n);
        let right = || match (least, most) {
            (Some(least), Some(most)) => format!("must be a number from {least} to {most}"),
            _ => "must be a number".to_owned(),
        };
        *value = number.filter(fits).ok_or_else(right)?.into();
        Ok(())
    }
}

fn check_text(value: &Value, least_chars: usize, most_chars: Option<usize>) -> Verdict {
    let text = value.as_str().ok_or("must be a string")?;
    // The bytes are counted first: text is rarely near its limit.
    if let Some(most) = most_chars
        && text.len() > most
        && text.chars().count() > most
    {
        return Err(format!("is longer than {most} characters"));
    }
    if least_chars > 0 && text.trim().is_empty() {
        return Err("must not be blank".to_owned());
    }
    if text.len() < least_chars {
        return Err(format!("is shorter than {least_chars} characters"));
    }
    Ok(())
}
