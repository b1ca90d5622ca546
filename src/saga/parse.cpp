// From jsonb to a definition. The grammar is in docs/sagas.md; this file is its only implementation.
//
//   definition  {"subject"?: "order", "deadline_ms"?, "description"?, "allow"?: [role, ...], "steps": [step, ...]}
//   step        {"name", "kind", ...what the kind says, "compensation": work | null}
//   (a function's or a worker's answer may say {"$fail": why}, {"$retry": why}, {"$later": why}, {"$unknown": why}, {"$task": id})
//   work        {"function", "retry"?} | {"queue", "task", "priority"?, "request"?, "result"?, "retry"?, "deadline_ms"?}
//               | {"begin", "retry"?, "deadline_ms"?}
//   what undoes a step is a work with "barrier"? and "by_hand"?, a function that records what somebody did by other means
#include <algorithm>

#include "pg/jsonpath.hpp"
#include "pg/memory.hpp"
#include "pg/raise.hpp"
#include "pg/subtransaction.hpp"
#include "saga/definition.hpp"
#include "saga/reader.hpp"

#include "pg/poison.hpp"

namespace oms::saga {

namespace {

using core::saga::Kind;
using core::saga::Node;
using core::saga::Phase;

constexpr std::size_t path_bytes_max = 2'000;
constexpr std::size_t task_name_bytes_max = 100;
constexpr int attempts_max = 1'000;

// A step is tried again for a moment; what undoes it for the better part of a day, because nobody is served by half an order.
constexpr core::RetryPolicy step_retry{3, 100, 2.0, 5'000, 0.2};
constexpr core::RetryPolicy undo_retry{300, 100, 2.0, 300'000, 0.2};

class Parser {
  public:
    Parser(Oid owner, bool check) : nodes_(16), steps_(16), owner_(owner), check_(check) {}

    void sequence(const Reader& parent_reader, std::int32_t parent, int depth, Phase phase) {
        pg::JsonMember list = parent_reader.required("steps", pg::JsonKind::array);
        if (JsonContainerSize(list.container()) == 0) {
            parent_reader.refuse("steps", "is empty", "Give at least one step.");
        }
        if (depth > depth_max) {
            parent_reader.refuse("steps", pg::format("are nested more than %d deep", depth_max), "Flatten the steps.");
        }
        pg::for_each_element(list.container(), [&](std::uint32_t i, const pg::JsonMember& element) {
            CHECK_FOR_INTERRUPTS();
            step(Reader{element, pg::format("%s[%u]", parent_reader.path_of("steps"), i)}, parent, depth, phase);
        });
    }

    void require_unique_names(const char* where) {
        std::span<std::string_view> names = pg::allocate<std::string_view>(steps_.size());
        for (std::size_t i = 0; i < steps_.size(); ++i) names[i] = steps_[i].name;
        std::ranges::sort(names);
        auto twice = std::ranges::adjacent_find(names);
        if (twice == names.end()) return;
        pg::raise(pg::Error::invalid_argument,
                  {.message = pg::format("%s has two steps named %s", where, pg::quoted(*twice)),
                   .detail = "A step's name is what its result and its events are known by.",
                   .hint = "Rename one of them."});
    }

    std::span<const Node> nodes() const { return nodes_.span(); }
    std::span<const StepSpec> steps() const { return steps_.span(); }

  private:
    Node& node(std::int32_t i) { return nodes_[static_cast<std::size_t>(i)]; }
    StepSpec& spec(std::int32_t i) { return steps_[static_cast<std::size_t>(i)]; }

    std::int32_t add(Kind kind, Phase phase, std::int32_t parent, const Reader& reader, std::string_view name) {
        if (nodes_.size() >= static_cast<std::size_t>(core::saga::steps_max)) {
            reader.refuse(
                "name", pg::format("is step number %zu", nodes_.size() + 1),
                pg::format("A saga has at most %d steps, those inside others counted.", core::saga::steps_max));
        }
        auto position = static_cast<std::int32_t>(nodes_.size());
        nodes_.push({.kind = kind, .phase = phase, .parent = parent, .end = position + 1});
        StepSpec named{};
        named.name = name;
        steps_.push(named);
        return position;
    }

    void step(const Reader& reader, std::int32_t parent, int depth, Phase phase) {
        std::string_view kind_name = reader.text("kind", 32);
        auto known = std::ranges::find(core::saga::kind_names, kind_name);
        if (known == core::saga::kind_names.end()) {
            reader.refuse("kind", pg::format("is %s, which is no kind of step", pg::quoted(kind_name)),
                          "Known: sql, task, wait, timer, parallel, conditional, twophase.");
        }
        auto kind = static_cast<Kind>(known - core::saga::kind_names.begin());
        std::int32_t i = add(kind, phase, parent, reader, reader.text("name", step_name_bytes_max));
        switch (kind) {
        case Kind::sql:
            reader.only({"name", "kind", "function", "retry", "compensation"});
            spec(i).work = calls(reader, step_retry);
            break;
        case Kind::task: task(reader, i); break;
        case Kind::wait:
            reader.only({"name", "kind", "signal", "deadline_ms", "on_deadline", "compensation"});
            spec(i).signal = reader.text("signal", step_name_bytes_max);
            spec(i).work.deadline_ms = reader.whole("deadline_ms", 1, duration_ms_max, 0);
            spec(i).goes_on_at_deadline = goes_on(reader);
            break;
        case Kind::timer: timer(reader, i); break;
        case Kind::parallel:
            reader.only({"name", "kind", "steps"});
            sequence(reader, i, depth + 1, Phase::none);
            break;
        case Kind::conditional:
            reader.only({"name", "kind", "when", "steps"});
            spec(i).path = path(reader, "when");
            sequence(reader, i, depth + 1, Phase::none);
            break;
        case Kind::twophase: twophase(reader, i); break;
        }
        node(i).end = static_cast<std::int32_t>(nodes_.size());
        compensation(reader, i, kind);
    }

    void task(const Reader& reader, std::int32_t i) {
        if (reader.has("begin")) {
            reader.only({"name", "kind", "begin", "retry", "deadline_ms", "compensation"});
        } else {
            reader.only({"name", "kind", "queue", "task", "priority", "request", "result", "retry", "deadline_ms",
                         "reconcile", "compensation"});
        }
        spec(i).work = work(reader, step_retry);
        node(i).unstoppable = spec(i).work.does == Does::begins;
        if (!reader.has("reconcile")) return;
        Reader asked{reader.member("reconcile"), reader.path_of("reconcile")};
        asked.only({"queue", "task", "retry", "deadline_ms"});
        spec(i).reconcile = hands(asked, undo_retry);
    }

    void timer(const Reader& reader, std::int32_t i) {
        reader.only({"name", "kind", "delay_ms", "delay_path", "compensation"});
        if (reader.has("delay_ms") == reader.has("delay_path")) {
            reader.refuse("delay_ms", "or delay_path must be given, and not both",
                          "Give the milliseconds, or a path to them in the saga's data.");
        }
        if (reader.has("delay_path")) {
            spec(i).path = path(reader, "delay_path");
        } else {
            spec(i).delay_ms = reader.whole("delay_ms", 0, duration_ms_max, std::nullopt);
        }
    }

    // Participants become children: all prepares, then all commits. What undoes a prepare is its abort.
    void twophase(const Reader& reader, std::int32_t i) {
        reader.only({"name", "kind", "participants", "compensation"});
        pg::JsonMember list = reader.required("participants", pg::JsonKind::array);
        if (JsonContainerSize(list.container()) == 0) {
            reader.refuse("participants", "is empty", "Name at least one participant.");
        }
        for (Phase phase : {Phase::prepare, Phase::commit}) {
            pg::for_each_element(list.container(), [&](std::uint32_t number, const pg::JsonMember& element) {
                participant(Reader{element, pg::format("%s[%u]", reader.path_of("participants"), number)}, i, phase);
            });
        }
    }

    void participant(const Reader& reader, std::int32_t parent, Phase phase) {
        reader.only({"name", "prepare", "commit", "abort"});
        std::string_view name = reader.text("name", step_name_bytes_max);
        const char* role = phase == Phase::prepare ? "prepare" : "commit";
        Reader described{reader.required(role, pg::JsonKind::object), reader.path_of(role)};
        Work part = stand_alone(described, phase == Phase::prepare ? step_retry : undo_retry);
        Kind kind = part.does == Does::calls ? Kind::sql : Kind::task;
        std::int32_t i = add(kind, phase, parent, reader, pg::copied(pg::format("%s.%s", pg::c_string(name), role)));
        spec(i).work = part;
        node(i).unstoppable = part.does == Does::begins;
        if (phase == Phase::prepare) {
            spec(i).undo = undoing(Reader{reader.required("abort", pg::JsonKind::object), reader.path_of("abort")});
        }
    }

    // What changes the world says how it is undone, or says that it need not be: forgetting it is not possible.
    void compensation(const Reader& reader, std::int32_t i, Kind kind) {
        bool changes_the_world = kind == Kind::sql || kind == Kind::task || kind == Kind::twophase;
        pg::JsonMember described = reader.member("compensation");
        if (described.kind == pg::JsonKind::missing && changes_the_world) {
            reader.refuse("compensation", "is missing",
                          "Say how the step is undone, or write null if nothing needs to be undone.");
        }
        if (described.kind == pg::JsonKind::missing || described.kind == pg::JsonKind::null) return;
        Reader undo{described, reader.path_of("compensation")};
        spec(i).undo = undoing(undo);
        node(i).barrier = undo.flag("barrier");
    }

    Work undoing(const Reader& reader) {
        reader.only({"function", "queue", "task", "priority", "request", "result", "begin", "retry", "deadline_ms",
                     "barrier", "by_hand"});
        Work undo = one_of(reader, undo_retry);
        undo.by_hand = function(reader, "by_hand", false);
        return undo;
    }

    Work stand_alone(const Reader& reader, const core::RetryPolicy& retry) {
        reader.only(
            {"function", "queue", "task", "priority", "request", "result", "begin", "retry", "deadline_ms", "barrier"});
        return one_of(reader, retry);
    }

    Work one_of(const Reader& reader, const core::RetryPolicy& retry) {
        if (reader.has("function") + reader.has("task") + reader.has("begin") != 1) {
            reader.refuse("function", "or task or begin must be given, one of them", "Say what is to be done.");
        }
        return reader.has("function") ? calls(reader, retry) : work(reader, retry);
    }

    Work work(const Reader& reader, const core::RetryPolicy& retry) {
        if (!reader.has("begin")) return hands(reader, retry);
        Work begins{};
        begins.does = Does::begins;
        begins.function = function(reader, "begin", true);
        begins.retry = policy(reader, retry);
        begins.deadline_ms = reader.whole("deadline_ms", 1, duration_ms_max, 0);
        return begins;
    }

    Work calls(const Reader& reader, const core::RetryPolicy& retry) {
        Work called{};
        called.does = Does::calls;
        called.function = function(reader, "function", true);
        called.retry = policy(reader, retry);
        return called;
    }

    Work hands(const Reader& reader, const core::RetryPolicy& retry) {
        Work handed{};
        handed.does = Does::hands;
        handed.queue = reader.text("queue", task_name_bytes_max);
        handed.task = reader.text("task", task_name_bytes_max);
        handed.priority = static_cast<int>(reader.whole("priority", -1000, 1000, 0));
        handed.request = function(reader, "request", false);
        handed.result = function(reader, "result", false);
        handed.retry = policy(reader, retry);
        handed.deadline_ms = reader.whole("deadline_ms", 1, duration_ms_max, 0);
        return handed;
    }

    core::RetryPolicy policy(const Reader& reader, const core::RetryPolicy& fallback) {
        if (!reader.has("retry")) return fallback;
        Reader retry{reader.member("retry"), reader.path_of("retry")};
        retry.only({"attempts", "base_ms", "factor", "cap_ms", "jitter"});
        return {static_cast<int>(retry.whole("attempts", 1, attempts_max, fallback.attempts_max)),
                retry.whole("base_ms", 0, duration_ms_max, fallback.base_ms),
                retry.decimal("factor", 1, 100, fallback.factor),
                retry.whole("cap_ms", 0, duration_ms_max, fallback.cap_ms),
                retry.decimal("jitter", 0, 1, fallback.jitter)};
    }

    bool goes_on(const Reader& reader) {
        std::string_view choice = reader.optional_text("on_deadline", 32);
        if (choice.empty() || choice == "fail") return false;
        if (choice == "continue") return true;
        reader.refuse("on_deadline", pg::format("is %s", pg::quoted(choice)), "Known: fail, continue.");
    }

    pg::FunctionName function(const Reader& reader, std::string_view member, bool required) {
        pg::FunctionName name = reader.function(member, required);
        if (!check_ || name.empty()) return name;
        require(reader, member, [&] { pg::require_callable(owner_, name); });
        return name;
    }

    pg::JsonPath path(const Reader& reader, std::string_view member) {
        std::string_view text = reader.text(member, path_bytes_max);
        pg::JsonPath path;
        auto read = [&] { path = pg::read_jsonpath(text); };
        check_ ? require(reader, member, read) : read();
        return path;
    }

    template <class Fn>
    void require(const Reader& reader, std::string_view member, Fn&& fn) {
        std::optional<pg::Failure> failure = pg::attempt(fn);
        if (failure) {
            reader.refuse(member, pg::format("cannot be used: %s", pg::c_string(failure->message)),
                          "Correct it; what is named must exist, and be yours to call, when the saga is defined.");
        }
    }

    pg::Array<Node> nodes_;
    pg::Array<StepSpec> steps_;
    Oid owner_;
    bool check_;
};
static_assert(pg::JumpSafe<Parser>);

std::span<const std::string_view> roles(const Reader& reader) {
    if (!reader.has("allow")) return {};
    pg::JsonMember list = reader.required("allow", pg::JsonKind::array);
    std::span<std::string_view> names = pg::allocate<std::string_view>(JsonContainerSize(list.container()));
    pg::for_each_element(list.container(), [&](std::uint32_t i, const pg::JsonMember& element) {
        if (element.kind != pg::JsonKind::text)
            reader.refuse("allow", "must be an array of role names", "Give each role as a string.");
        names[i] = element.text();
    });
    return names;
}

}  // namespace

Definition parse(std::string_view name, Jsonb* json, Oid owner, bool check) {
    pg::JsonMember root;
    root.kind = pg::kind_of(json);
    root.value.type = jbvBinary;
    root.value.val.binary.data = &json->root;
    Reader reader{root, "definition"};
    reader.only({"subject", "deadline_ms", "description", "allow", "events", "steps"});
    Definition definition{};
    definition.name = name;
    definition.owner = owner;
    (void)reader.optional_text("description", 2'000);
    std::string_view subject = reader.optional_text("subject", 32);
    if (!subject.empty() && subject != "order") {
        reader.refuse("subject", pg::format("is %s", pg::quoted(subject)), "Known: order. Leave it out otherwise.");
    }
    definition.of_order = !subject.empty();
    std::string_view events = reader.optional_text("events", 32);
    if (!events.empty() && events != "all" && events != "turns") {
        reader.refuse("events", pg::format("is %s", pg::quoted(events)), "Known: all, turns.");
    }
    definition.says_turns_only = events == "turns";
    definition.allowed = roles(reader);
    definition.deadline_ms = reader.whole("deadline_ms", 1, duration_ms_max, default_deadline_ms);
    Parser parser{owner, check};
    parser.sequence(reader, -1, 1, Phase::none);
    parser.require_unique_names("definition");
    definition.nodes = parser.nodes();
    definition.steps = parser.steps();
    return definition;
}

}  // namespace oms::saga
