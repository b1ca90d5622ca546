// oms.complete_task and oms.complete_tasks: the work is done.
#include <algorithm>

#include "api/task_outcome.hpp"
#include "api/task_request.hpp"
#include "pg/arrays.hpp"
#include "pg/json.hpp"
#include "pg/memory.hpp"
#include "pg/raise.hpp"
#include "pg/transaction.hpp"
#include "saga/saga.hpp"

#include "pg/poison.hpp"

namespace oms::api {
namespace {

enum Argument : int { task_id, lease_epoch, result };
enum BatchArgument : int { task_ids, lease_epochs, results };

constexpr std::size_t batch_max = 10'000;

[[noreturn]] void refuse_batch(const char* problem) {
    pg::raise(pg::Error::invalid_argument,
              {.message = "the batch of answers is not valid",
               .detail = problem,
               .hint = "Pass as many lease_epochs as task_ids, and results as a json array of that length, or none."});
}

std::span<const Datum> elements(const pg::Call& call, int position, const char* name) {
    if (call.is_null(position)) refuse_batch(pg::format("The argument %s is NULL.", name));
    std::optional<std::span<const Datum>> found = pg::array_elements(call.datum(position), INT8OID);
    if (!found) refuse_batch(pg::format("%s contains a NULL or has several dimensions.", name));
    return *found;
}

struct Answer {
    core::TaskId task;
    std::int64_t epoch;
    Jsonb* result;
    const char* outcome;
};

std::span<Answer> read_batch(const pg::Call& call) {
    std::span<const Datum> ids = elements(call, task_ids, "task_ids");
    std::span<const Datum> epochs = elements(call, lease_epochs, "lease_epochs");
    if (ids.size() > batch_max)
        refuse_batch(pg::format("It has %zu answers; at most %zu are accepted.", ids.size(), batch_max));
    if (ids.size() != epochs.size())
        refuse_batch(pg::format("There are %zu task_ids and %zu lease_epochs.", ids.size(), epochs.size()));
    std::span<Answer> answers = pg::allocate<Answer>(ids.size());
    for (std::size_t i = 0; i < ids.size(); ++i)
        answers[i] = {{DatumGetInt64(ids[i])}, DatumGetInt64(epochs[i]), nullptr, nullptr};
    Jsonb* given = call.jsonb(results);
    if (given == nullptr) return answers;
    if (pg::kind_of(given) != pg::JsonKind::array || JsonContainerSize(&given->root) != ids.size()) {
        refuse_batch("results is not an array with an element for each task.");
    }
    pg::for_each_element(&given->root, [&](std::uint32_t i, const pg::JsonMember& member) {
        if (member.kind != pg::JsonKind::null) answers[i].result = pg::to_jsonb(member);
    });
    return answers;
}

// What the tasks belong to is locked before any of them, and the tasks in the order of their numbers.
void complete_all(std::span<Answer> answers) {
    std::span<Answer*> in_order = pg::allocate<Answer*>(answers.size());
    for (std::size_t i = 0; i < answers.size(); ++i) in_order[i] = &answers[i];
    std::ranges::sort(in_order, {}, [](const Answer* answer) { return answer->task; });
    pg::Array<tasks::Purpose> purposes;
    for (const Answer* answer : in_order) {
        std::optional<tasks::Purpose> purpose = tasks::purpose_of_lease(answer->task, answer->epoch);
        if (purpose) purposes.push(*purpose);
    }
    lock_behind(purposes.span());
    const Answer* previous = nullptr;
    pg::for_each_in_scratch(in_order, [&](Answer* answer) {
        CHECK_FOR_INTERRUPTS();
        // Named twice: the second answer has to see what the first did.
        if (previous != nullptr && previous->task == answer->task) pg::end_of_command();
        previous = answer;
        std::optional<tasks::Closed> closed = tasks::try_complete(answer->task, answer->epoch, answer->result);
        answer->outcome = !closed ? "lease_lost" : closed->replayed ? "replayed" : "done";
        if (closed && !closed->replayed) task_closed(*closed);
    });
}

bool complete_one(core::TaskId task, std::int64_t epoch, Jsonb* result) {
    bool replayed = false;
    tasks::Purpose purpose = tasks::purpose_of(task);
    auto work = [&] {
        lock_behind(purpose);
        tasks::Closed closed = tasks::complete(task, epoch, result);
        if (!closed.replayed) task_closed(closed);
        replayed = closed.replayed;
    };
    purpose.step_id == 0 ? work() : saga::together(work);
    return replayed;
}

}  // namespace

OMS_FUNCTION(oms_complete_task) {
    pg::Call call{fcinfo};
    core::TaskId task = required_task(call, task_id);
    std::int64_t epoch = required_epoch(call, lease_epoch);
    bool replayed = complete_one(task, epoch, call.jsonb(result));
    pg::end_of_command();
    const Datum values[] = {pg::text_datum("done"), BoolGetDatum(replayed)};
    const bool nulls[] = {false, false};
    return pg::composite_result(call, values, nulls);
}

OMS_FUNCTION(oms_complete_tasks) {
    pg::Call call{fcinfo};
    std::span<Answer> answers = read_batch(call);
    pg::RowSet rows{call};
    saga::together([&] { complete_all(answers); });
    pg::end_of_command();
    for (const Answer& answer : answers) {
        const Datum values[] = {Int64GetDatum(answer.task.value), pg::text_datum(answer.outcome)};
        const bool nulls[] = {false, false};
        rows.add(values, nulls);
    }
    return Datum{0};
}

}  // namespace oms::api
