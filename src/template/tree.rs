//! The parsed template: what Go checks when it parses is checked here, and the steps that bound a rendering are put in.
//!
//! Every pipeline `a | b` becomes `a | __charge | b | __charge`, every block starts with `__step n`, and what an action
//! writes goes through `__show`. So nothing runs or grows without being paid for, whatever the template says.

use std::collections::HashSet;
use std::sync::{Arc, LazyLock};

use gotmpl::parse::{
    ActionNode, BranchNode, CommandNode, DefineNode, Expr, ListNode, Node, Number, Parser, PipeNode, Pos, SmolStr,
    TextNode,
};

use super::balance::{self, at_offset};
use super::functions::{self, BRACE, CHARGE, METHOD, SHOW, STEP};
use super::{Flavour, MAX_TURNS, TemplateError, data};

/// The name under which the template's own text is kept; no `define` can be called so.
pub(super) const MAIN: &str = "\u{1}main";
/// What Prometheus puts before every template.
const PRELUDE: &str =
    "{{$labels := .Labels}}{{$externalLabels := .ExternalLabels}}{{$externalURL := .ExternalURL}}{{$value := .Value}}";
const PRELUDE_NAMES: [&str; 4] = ["$labels", "$externalLabels", "$externalURL", "$value"];
/// Fields that Alertmanager's data offers as methods.
const METHODS: [&str; 5] = ["Firing", "Resolved", "SortedPairs", "Names", "Values"];
/// Deepest nesting of blocks and parentheses.
pub(super) const MAX_NESTING: usize = 40;

/// The empty template that all others are cloned from: they share its table of functions.
static BASE: LazyLock<gotmpl::Template> =
    LazyLock::new(|| gotmpl::Template::new("").max_range_iters(MAX_TURNS).funcs(functions::table()));

/// A template ready to run.
pub(super) struct Built {
    pub template: gotmpl::Template,
    pub queries: Vec<String>,
}

/// Parses, checks and prepares a template.
pub(super) fn build(source: &str, flavour: Flavour) -> Result<Built, TemplateError> {
    let parse = |text: &str| Parser::new(text, "{{", "}}").and_then(Parser::parse).map_err(|e| syntax(source, e));
    balance::check(source)?;
    let (mut main, defines) = parse(source)?;
    let mut walk = Walk {
        source,
        flavour,
        defined: HashSet::new(),
        variables: Vec::new(),
        queries: Vec::new(),
        in_range: false,
        dot_is_root: false,
        dollar_is_root: false,
        depth: 0,
    };
    for define in &defines {
        if !define.body.is_empty_tree() && !walk.defined.insert(define.name.clone()) {
            return Err(walk.error(define.pos, format!("template {:?} is defined twice; rename one", define.name)));
        }
        walk.defined.insert(define.name.clone());
    }
    let mut template = BASE.clone();
    for DefineNode { name, mut body, .. } in defines {
        walk.variables = vec!["$".into()];
        walk.body(&mut body)?;
        template = template.add_parse_tree(&name, body);
    }
    walk.variables = vec!["$".into()];
    if flavour == Flavour::Alert {
        walk.variables.extend(PRELUDE_NAMES.map(SmolStr::new_static));
    }
    (walk.dot_is_root, walk.dollar_is_root) = (true, true);
    walk.body(&mut main)?;
    if flavour == Flavour::Alert {
        let (prelude, _) = parse(PRELUDE)?;
        main.nodes.splice(0..0, prelude.nodes);
    }
    Ok(Built { template: template.add_parse_tree(MAIN, main), queries: walk.queries })
}

fn syntax(source: &str, error: gotmpl::TemplateError) -> TemplateError {
    match error {
        gotmpl::TemplateError::Parse { line, col, message, .. }
        | gotmpl::TemplateError::Lex { line, col, message, .. } => {
            TemplateError::Syntax { line: line.max(1), column: col.max(1), what: remedy(&message) }
        }
        other => TemplateError::Syntax { line: 1, column: 1, what: format!("{other} in {:?}", first_line(source)) },
    }
}

fn first_line(source: &str) -> String {
    source.lines().next().unwrap_or("").chars().take(80).collect()
}

/// Adds what to do to the commonest messages of the parser.
fn remedy(message: &str) -> String {
    let advice = if message.contains("unclosed action") || message.contains("unterminated") {
        "; close the action with }}"
    } else if message.to_lowercase().contains("eof") {
        "; is an {{end}} or a }} missing?"
    } else {
        ""
    };
    format!("{message}{advice}")
}

struct Walk<'a> {
    source: &'a str,
    flavour: Flavour,
    defined: HashSet<SmolStr>,
    variables: Vec<SmolStr>,
    queries: Vec<String>,
    in_range: bool,
    dot_is_root: bool,
    dollar_is_root: bool,
    depth: usize,
}

impl Walk<'_> {
    fn error(&self, pos: Pos, what: String) -> TemplateError {
        at_offset(self.source, pos.offset, what)
    }

    fn enter(&mut self, pos: Pos) -> Result<(), TemplateError> {
        self.depth += 1;
        if self.depth > MAX_NESTING {
            return Err(self.error(pos, format!("blocks and parentheses nest deeper than {MAX_NESTING}; flatten them")));
        }
        Ok(())
    }

    /// A block: its variables end with it.
    fn body(&mut self, list: &mut ListNode) -> Result<(), TemplateError> {
        let declared = self.variables.len();
        self.list(list)?;
        self.variables.truncate(declared);
        let steps = i64::try_from(list.nodes.len()).unwrap_or(i64::MAX);
        let step = call(list.pos, STEP, vec![Expr::Number(list.pos, Number::Int(steps))]);
        list.nodes.insert(0, action(list.pos, vec![step]));
        Ok(())
    }

    fn list(&mut self, list: &mut ListNode) -> Result<(), TemplateError> {
        self.enter(list.pos)?;
        let mut nodes = Vec::with_capacity(list.nodes.len());
        for mut node in std::mem::take(&mut list.nodes) {
            match &mut node {
                Node::Text(text) => {
                    braces(text, &mut nodes);
                    continue;
                }
                Node::List(inner) => self.list(inner)?,
                Node::Action(action) => {
                    self.pipe(&mut action.pipe)?;
                    if action.pipe.decl.is_empty() {
                        action.pipe.commands.push(call(action.pos, SHOW, Vec::new()));
                    }
                }
                Node::If(branch) => self.branch(branch, false)?,
                Node::With(branch) => self.branch(branch, true)?,
                Node::Range(branch) => {
                    let outer = std::mem::replace(&mut self.in_range, true);
                    self.branch(branch, true)?;
                    self.in_range = outer;
                }
                Node::Template(template) => {
                    if !self.defined.contains(&template.name) {
                        let what = format!(
                            "there is no template {:?}; define it with {{{{define {0:?}}}}}…{{{{end}}}}",
                            template.name
                        );
                        return Err(self.error(template.pos, what));
                    }
                    if let Some(pipe) = &mut template.pipe {
                        self.pipe(pipe)?;
                    }
                }
                Node::Break(pos) | Node::Continue(pos) if !self.in_range => {
                    return Err(self.error(*pos, "break and continue are only possible inside {{range}}".to_owned()));
                }
                Node::Break(_) | Node::Continue(_) | Node::Define(_) => {}
            }
            nodes.push(node);
        }
        list.nodes = nodes;
        self.depth -= 1;
        Ok(())
    }

    fn branch(&mut self, branch: &mut BranchNode, moves_dot: bool) -> Result<(), TemplateError> {
        let declared = self.variables.len();
        self.pipe(&mut branch.pipe)?;
        let root = self.dot_is_root;
        self.dot_is_root = root && !moves_dot;
        self.body(&mut branch.body)?;
        self.dot_is_root = root;
        if let Some(other) = &mut branch.else_body {
            self.body(other)?;
        }
        self.variables.truncate(declared);
        Ok(())
    }

    fn pipe(&mut self, pipe: &mut PipeNode) -> Result<(), TemplateError> {
        self.enter(pipe.pos)?;
        let mut commands = Vec::with_capacity(pipe.commands.len() * 2);
        for mut command in std::mem::take(&mut pipe.commands) {
            let pos = command.pos;
            self.command(&mut command)?;
            commands.push(command);
            commands.push(call(pos, CHARGE, Vec::new()));
        }
        pipe.commands = commands;
        for name in &pipe.decl {
            if !pipe.is_assign {
                self.variables.push(name.clone());
            } else if !self.variables.contains(name) {
                return Err(self.error(pipe.pos, format!("{name} is not declared; write {name} := … first")));
            }
        }
        self.depth -= 1;
        Ok(())
    }

    fn command(&mut self, command: &mut CommandNode) -> Result<(), TemplateError> {
        let Some((first, rest)) = command.args.split_first_mut() else {
            return Err(self.error(command.pos, "an empty command; write what to show".to_owned()));
        };
        // `query "up"` names its expression: remember it for the check at parse time.
        if let (Expr::Identifier(_, name), [Expr::String(_, text)]) = (&*first, &*rest)
            && name.as_str() == "query"
            && !self.queries.iter().any(|known| **known == **text)
        {
            self.queries.push(text.to_string());
        }
        self.expr(first)?;
        for argument in rest {
            self.expr(argument)?;
            if !matches!(argument, Expr::String(..) | Expr::Number(..) | Expr::Bool(..) | Expr::Nil(_) | Expr::Pipe(..))
            {
                let pos = argument.pos();
                let value = CommandNode { pos, args: vec![std::mem::replace(argument, Expr::Nil(pos))] };
                *argument = parenthesised(pos, vec![value, call(pos, CHARGE, Vec::new())]);
            }
        }
        Ok(())
    }

    fn expr(&mut self, expr: &mut Expr) -> Result<(), TemplateError> {
        match expr {
            Expr::Identifier(pos, name) if !functions::exists(name) => {
                let what = format!("there is no function {name:?}; there are {}", functions::names());
                return Err(self.error(*pos, what));
            }
            Expr::Variable(pos, name, fields) => {
                if !self.variables.contains(name) {
                    let what = if self.flavour == Flavour::Alert && PRELUDE_NAMES.contains(&name.as_str()) {
                        format!("{name} is not known inside {{{{define}}}}; pass it: {{{{template \"…\" {name}}}}}")
                    } else {
                        format!("{name} is not declared; write {{{{{name} := …}}}} first")
                    };
                    return Err(self.error(*pos, what));
                }
                if name == "$" && self.dollar_is_root {
                    self.field_of_root(*pos, &fields.clone())?;
                }
            }
            Expr::Field(pos, fields) if self.dot_is_root => self.field_of_root(*pos, &fields.clone())?,
            Expr::Pipe(_, pipe) => self.pipe(pipe)?,
            Expr::Chain(pos, inner, _) => {
                self.enter(*pos)?;
                self.expr(inner)?;
                self.depth -= 1;
            }
            _ => {}
        }
        methods(expr);
        Ok(())
    }

    fn field_of_root(&self, pos: Pos, fields: &[SmolStr]) -> Result<(), TemplateError> {
        let known: &[&str] = match self.flavour {
            Flavour::Alert => &data::ALERT_FIELDS,
            Flavour::Notification => &data::NOTIFICATION_FIELDS,
        };
        match fields.first() {
            Some(field) if !known.contains(&field.as_str()) => {
                let all = known.iter().map(|name| format!(".{name}")).collect::<Vec<_>>().join(", ");
                Err(self.error(pos, format!("there is no field .{field}; there are {all}")))
            }
            _ => Ok(()),
        }
    }
}

/// Turns `a.b.Firing.c` into `(__method a.b "Firing").c`.
fn methods(expr: &mut Expr) {
    let (pos, fields) = match expr {
        Expr::Field(pos, fields) | Expr::Variable(pos, _, fields) | Expr::Chain(pos, _, fields) => (*pos, fields),
        _ => return,
    };
    let Some(at) = fields.iter().position(|field| METHODS.contains(&field.as_str())) else { return };
    let rest: Vec<SmolStr> = fields.drain(at..).collect();
    let name = Expr::String(pos, Arc::from(rest[0].as_str()));
    let object = match std::mem::replace(expr, Expr::Nil(pos)) {
        Expr::Field(pos, fields) if fields.is_empty() => Expr::Dot(pos),
        Expr::Chain(_, inner, fields) if fields.is_empty() => *inner,
        other => other,
    };
    let called = parenthesised(pos, vec![call(pos, METHOD, vec![object, name])]);
    let mut chained = match &rest[1..] {
        [] => called,
        more => Expr::Chain(pos, Box::new(called), more.to_vec()),
    };
    methods(&mut chained);
    *expr = chained;
}

/// Splits plain text at `{identifier}`.
fn braces(node: &TextNode, out: &mut Vec<Node>) {
    let text: &str = &node.text;
    let mut done = 0;
    let mut from = 0;
    while let Some(open) = text[from..].find('{').map(|at| at + from) {
        from = open + 1;
        let length = text[from..].bytes().take_while(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b':')).count();
        let name = &text[from..from + length];
        let named = length > 0 && !name.as_bytes()[0].is_ascii_digit() && text[from + length..].starts_with('}');
        if !named {
            continue;
        }
        push_text(node.pos, &text[done..open], out);
        out.push(action(node.pos, vec![call(node.pos, BRACE, vec![Expr::String(node.pos, Arc::from(name))])]));
        from += length + 1;
        done = from;
    }
    push_text(node.pos, &text[done..], out);
}

fn push_text(pos: Pos, text: &str, out: &mut Vec<Node>) {
    if !text.is_empty() {
        out.push(Node::Text(TextNode { pos, text: Arc::from(text) }));
    }
}

fn call(pos: Pos, name: &'static str, arguments: Vec<Expr>) -> CommandNode {
    let function = Expr::Identifier(pos, SmolStr::new_static(name));
    CommandNode { pos, args: std::iter::once(function).chain(arguments).collect() }
}

fn pipe_of(pos: Pos, commands: Vec<CommandNode>) -> PipeNode {
    PipeNode { pos, decl: Vec::new(), commands, is_assign: false }
}

fn parenthesised(pos: Pos, commands: Vec<CommandNode>) -> Expr {
    Expr::Pipe(pos, pipe_of(pos, commands))
}

fn action(pos: Pos, commands: Vec<CommandNode>) -> Node {
    Node::Action(ActionNode { pos, pipe: pipe_of(pos, commands) })
}
