// A definition as a graph, for people: solid arrows lead forward, dashed ones to what undoes a step.
#include "pg/raise.hpp"
#include "saga/instance.hpp"

#include "pg/poison.hpp"

namespace oms::saga {

namespace {

using core::saga::Kind;
using core::saga::Node;

class Graph {
  public:
    Graph(const Definition& definition, bool dot) : definition_(definition), dot_(dot) { initStringInfo(&text_); }

    const char* draw() {
        append(dot_ ? "digraph saga {\n    rankdir=TB;\n    node [shape=box];\n    start [shape=circle];\n    done "
                      "[shape=doublecircle];\n"
                    : "flowchart TD\n    start((start))\n    done(((done)))\n");
        const auto count = static_cast<std::int32_t>(definition_.nodes.size());
        for (std::int32_t i = 0; i < count; ++i) describe(i);
        std::int32_t previous = -1;
        for (std::int32_t i = 0; i < count; i = node(i).end) {
            connect(previous, i);
            previous = i;
        }
        arrow(previous, "done");
        if (dot_) append("}\n");
        return text_.data;
    }

  private:
    const Node& node(std::int32_t i) const { return definition_.node(i); }
    void append(const char* text) { appendStringInfoString(&text_, text); }

    // Names are a user's: only what cannot end a label early goes into one.
    char* label(std::string_view text) {
        char* shown = pg::c_string(text);
        for (char* c = shown; *c != '\0'; ++c) {
            if (*c == '"' || *c == '\\' || *c == '<' || *c == '>' || *c == '[' || *c == ']' || *c == '\n') *c = '_';
        }
        return shown;
    }

    void box(const char* id, const char* label_text, bool undoes) {
        if (dot_) {
            appendStringInfo(&text_, "    %s [label=\"%s\"%s];\n", id, label_text, undoes ? ", style=dashed" : "");
        } else {
            appendStringInfo(&text_, undoes ? "    %s([\"%s\"])\n" : "    %s[\"%s\"]\n", id, label_text);
        }
    }

    const char* what(const Work& work) {
        return work.does == Does::hands
                   ? label(work.task)
                   : label(pg::format("%s.%s", pg::c_string(work.function.schema), pg::c_string(work.function.name)));
    }

    void describe(std::int32_t i) {
        const StepSpec& spec = definition_.step(i);
        std::string_view kind = core::saga::name_of(node(i).kind);
        box(pg::format("s%d", i), pg::format("%s (%.*s)", label(spec.name), static_cast<int>(kind.size()), kind.data()),
            false);
        if (spec.undo.does == Does::nothing) return;
        box(pg::format("u%d", i), what(spec.undo), true);
        appendStringInfo(&text_,
                         dot_ ? "    s%d -> u%d [style=dashed, label=\"undo\"];\n" : "    s%d -. undo .-> u%d\n", i, i);
    }

    void arrow(std::int32_t from, const char* to) {
        const char* source = from < 0 ? "start" : pg::format("s%d", from);
        appendStringInfo(&text_, dot_ ? "    %s -> %s;\n" : "    %s --> %s\n", source, to);
    }

    // From a step to the next one, and from a container into its children.
    void connect(std::int32_t from, std::int32_t to) {
        arrow(from, pg::format("s%d", to));
        std::int32_t previous = to;
        for (std::int32_t child = to + 1; child < node(to).end; child = node(child).end) {
            connect(node(to).kind == Kind::conditional ? previous : to, child);
            previous = child;
        }
    }

    const Definition& definition_;
    bool dot_;
    StringInfoData text_;
};
static_assert(pg::JumpSafe<Graph>);

}  // namespace

const char* graph(std::string_view name, std::int32_t version, bool dot) {
    return Graph{definition_to_start(name, version), dot}.draw();
}

}  // namespace oms::saga
