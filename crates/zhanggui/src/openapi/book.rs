//! Collects calls and the schemas of their types.

use serde_json::{Map, Value, json};
use utoipa::{IntoParams, ToSchema, openapi::path::ParameterIn};

use crate::{
    api_key::Scope,
    http::{Code, ProblemBody},
};

const JSON: &str = "application/json";
const PROBLEM: &str = "application/problem+json";

/// Who may make a call.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Who {
    /// Nobody has to say who they are.
    Anybody,
    /// A customer with a session.
    Customer,
    /// A system of the merchant, with a key that has this scope.
    Key(Scope),
    /// Both.
    CustomerOrKey(Scope),
    /// A system of the merchant, with a key of any scope; what it sees depends on it.
    AnyKey,
}

/// The calls that were described so far.
#[derive(Default)]
pub(crate) struct Book {
    calls: Vec<Call>,
    schemas: Map<String, Value>,
}

struct Call {
    method: &'static str,
    path: &'static str,
    operation: Map<String, Value>,
    parameters: Vec<Value>,
    responses: Map<String, Value>,
}

/// A call that is being described.
pub(crate) struct Entry<'a>(&'a mut Book);

impl Book {
    /// Begins the description of a call.
    pub(crate) fn call(
        &mut self,
        method: &'static str,
        path: &'static str,
        tag: &str,
        who: Who,
        what: &str,
    ) -> Entry<'_> {
        let mut operation = Map::new();
        operation.insert("operationId".to_owned(), json!(operation_id(method, path)));
        operation.insert("tags".to_owned(), json!([tag]));
        operation.insert("summary".to_owned(), json!(what));
        let (security, needs) = security(who);
        operation.insert("security".to_owned(), security);
        if !needs.is_empty() {
            operation.insert("description".to_owned(), json!(needs));
        }
        let parameters = path_parameters(path);
        self.calls.push(Call { method, path, operation, parameters, responses: Map::new() });
        Entry(self)
    }

    fn reference<T: ToSchema>(&mut self) -> Value {
        let mut nested = vec![(T::name().into_owned(), T::schema())];
        T::schemas(&mut nested);
        for (name, schema) in nested {
            // Schemas are made of texts, numbers and lists.
            self.schemas.entry(name).or_insert_with(|| serde_json::to_value(schema).expect("a schema is JSON"));
        }
        json!({ "$ref": format!("#/components/schemas/{}", T::name()) })
    }

    /// The whole document.
    pub(crate) fn finish(mut self) -> Value {
        let problem = self.reference::<ProblemBody>();
        let codes: Vec<_> = Code::ALL.iter().map(|code| code.as_str()).collect();
        self.schemas["Problem"]["properties"]["code"] = json!({
            "type": "string",
            "enum": codes,
            "description": "What went wrong, for programs. A later version may have more. See docs/errors.md.",
        });
        let answer = json!({ "description": "What went wrong.", "content": { PROBLEM: { "schema": problem } } });
        let mut paths: Map<String, Value> = Map::new();
        for mut call in self.calls {
            call.responses.insert("default".to_owned(), answer.clone());
            call.operation.insert("responses".to_owned(), Value::Object(call.responses));
            if !call.parameters.is_empty() {
                call.operation.insert("parameters".to_owned(), Value::Array(call.parameters));
            }
            paths.entry(call.path).or_insert_with(|| json!({}))[call.method] = Value::Object(call.operation);
        }
        json!({
            "openapi": "3.1.0",
            "info": {
                "title": "Zhanggui",
                "version": env!("CARGO_PKG_VERSION"),
                "license": { "name": "Apache-2.0 OR MIT", "identifier": "Apache-2.0 OR MIT" },
                "description": "The back end of a WeChat mini program. Amounts are whole fen, times RFC 3339, errors \
                    application/problem+json with a stable code.",
            },
            "security": [],
            "paths": paths,
            "components": {
                "schemas": self.schemas,
                "securitySchemes": {
                    "session": { "type": "http", "scheme": "bearer", "description": "The token of a customer, from POST /v1/login." },
                    "key": { "type": "http", "scheme": "bearer", "description": "A key of the merchant's own systems, from `zhanggui key create`." },
                },
            },
        })
    }
}

impl Entry<'_> {
    fn last(&mut self) -> &mut Call {
        // An entry is made together with its call.
        self.0.calls.last_mut().expect("a call was begun")
    }

    /// The parameters of the query.
    pub(crate) fn query<P: IntoParams>(mut self) -> Self {
        for parameter in P::into_params(|| Some(ParameterIn::Query)) {
            // As above.
            let parameter = serde_json::to_value(parameter).expect("a parameter is JSON");
            self.last().parameters.push(parameter);
        }
        self
    }

    /// The body, with an example.
    pub(crate) fn body<T: ToSchema>(self, example: Value) -> Self {
        let schema = self.0.reference::<T>();
        self.with_body(json!({ JSON: { "schema": schema, "example": example } }), true)
    }

    /// The body of a call that creates something: with the header `Idempotency-Key`. It may be left out if nothing in it
    /// has to be given.
    pub(crate) fn creating<T: ToSchema>(self, example: Value) -> Self {
        let is_required = example.as_object().is_some_and(|fields| !fields.is_empty());
        let mut entry = self.body::<T>(example);
        entry.last().operation["requestBody"]["required"] = json!(is_required);
        entry.named_once()
    }

    /// Takes the header `Idempotency-Key`.
    fn named_once(mut self) -> Self {
        self.last().parameters.push(json!({
            "name": "Idempotency-Key",
            "in": "header",
            "required": false,
            "description": "A name for this request, such as a UUID: it has its effect once, and repetitions get the same answer.",
            "schema": { "type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$" },
        }));
        self
    }

    /// A body that no type describes.
    pub(crate) fn free_body(self, schema: &Value, example: &Value) -> Self {
        self.with_body(json!({ JSON: { "schema": schema, "example": example } }), true)
    }

    /// The bytes out of which a call creates something: with the header `Idempotency-Key`.
    pub(crate) fn creating_of_bytes(self, media_type: &str) -> Self {
        self.with_body(json!({ media_type: {} }), true).named_once()
    }

    fn with_body(mut self, content: Value, is_required: bool) -> Self {
        let body = json!({ "required": is_required, "content": content });
        self.last().operation.insert("requestBody".to_owned(), body);
        self
    }

    /// The answer.
    pub(crate) fn gives<T: ToSchema>(self, status: u16, what: &str) -> Self {
        let schema = self.0.reference::<T>();
        self.with_answer(status, what, Some(json!({ JSON: { "schema": schema } })))
    }

    /// An answer that no type describes.
    pub(crate) fn gives_free(self, status: u16, what: &str, schema: &Value) -> Self {
        self.with_answer(status, what, Some(json!({ JSON: { "schema": schema } })))
    }

    /// An answer of another media type.
    pub(crate) fn gives_bytes(self, status: u16, what: &str, media_types: &[&str]) -> Self {
        let content: Map<_, _> = media_types.iter().map(|media_type| ((*media_type).to_owned(), json!({}))).collect();
        self.with_answer(status, what, Some(Value::Object(content)))
    }

    /// An answer without a body.
    pub(crate) fn gives_nothing(self, what: &str) -> Self {
        self.with_answer(204, what, None)
    }

    fn with_answer(mut self, status: u16, what: &str, content: Option<Value>) -> Self {
        let known = self.last().responses.entry(status.to_string()).or_insert_with(|| json!({ "description": what }));
        if let Some(Value::Object(content)) = content {
            for (media_type, schema) in content {
                known["content"][media_type] = schema;
            }
        }
        self
    }
}

/// `post_orders_pay` for `POST /v1/orders/{id}/pay`.
fn operation_id(method: &str, path: &str) -> String {
    let words = path.split(['/', '-']).filter(|word| !word.is_empty() && *word != "v1");
    let words = words.map(|word| word.trim_matches(['{', '}']).replace('.', "_"));
    std::iter::once(method.to_owned()).chain(words).collect::<Vec<_>>().join("_")
}

fn path_parameters(path: &str) -> Vec<Value> {
    let names = path.split('/').filter_map(|word| word.strip_prefix('{')?.strip_suffix('}'));
    names.map(|name| json!({ "name": name, "in": "path", "required": true, "schema": { "type": "string" } })).collect()
}

fn security(who: Who) -> (Value, String) {
    let (session, key) = (json!({ "session": [] }), json!({ "key": [] }));
    match who {
        Who::Anybody => (json!([]), String::new()),
        Who::Customer => (json!([session]), "For a customer.".to_owned()),
        Who::Key(scope) => (json!([key]), format!("For an API key with the scope `{}`.", scope.as_str())),
        Who::AnyKey => (json!([key]), "For an API key; what it sees depends on its scopes.".to_owned()),
        Who::CustomerOrKey(scope) => {
            (json!([session, key]), format!("For a customer, or for an API key with the scope `{}`.", scope.as_str()))
        }
    }
}
