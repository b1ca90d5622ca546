// What the engine tells functions and workers, and how it reads what they say.
#include "pg/raise.hpp"
#include "saga/instance.hpp"
#include "tasks/tasks.hpp"

#include "pg/poison.hpp"

namespace oms::saga {

namespace {

std::string_view text_of(const pg::JsonMember& member) {
    return member.kind == pg::JsonKind::text ? pg::copied(member.text()) : std::string_view{"no reason was given"};
}

}  // namespace

Said understand(Jsonb* answer) {
    Said said{Said::done, answer, 0, {}};
    if (answer == nullptr || pg::kind_of(answer) != pg::JsonKind::object) return said;
    auto has = [&](std::string_view name, Said::What what) {
        pg::JsonMember member = pg::member_of(&answer->root, name);
        if (member.kind == pg::JsonKind::missing) return false;
        said.what = what;
        if (what == Said::waits) {
            if (member.kind == pg::JsonKind::number) said.task_id = pg::whole_number(member.value).value_or(0);
        } else {
            said.error = text_of(member);
        }
        return true;
    };
    if (has("$fail", Said::failed) || has("$retry", Said::retry) || has("$later", Said::later) ||
        has("$unknown", Said::unknown)) {
        return said;
    }
    (void)has("$task", Said::waits);
    return said;
}

Jsonb* context_of(Instance& saga, std::int32_t i, Jsonb* result, std::string_view purpose, std::string_view reason) {
    const StepSpec& spec = saga.spec(i);
    const bool back = purpose == "undo" || purpose == "by_hand";
    const Work& work = back ? spec.undo : spec.work;
    pg::JsonObject json;
    json.number("saga_id", saga.id.value);
    json.number("step_id", saga.step_id(i));
    json.text("definition", saga.definition->name);
    json.number("version", saga.definition->version);
    json.text_or_null("key", saga.key);
    json.text("step", spec.name);
    json.text("purpose", purpose);
    json.number("attempt", back ? saga.row(i).undo_attempts : saga.row(i).attempts);
    json.number("deadline_ms", work.deadline_ms);
    json.text_or_null("failure", saga.failure);
    if (!reason.empty()) json.text("reason", reason);
    json.json("data", saga.data);
    if (result != nullptr) json.json("result", result);
    return json.finish();
}

// Without a `result` a failure may pass: the function raised. With one it was meant: the function said $fail.
Said call_function(Instance& saga, std::int32_t i, const pg::FunctionName& function, Jsonb* result,
                   std::string_view purpose, std::string_view reason) {
    Jsonb* context = context_of(saga, i, result, purpose, reason);
    const pg::Whose whose = saga.definition->builtin ? pg::Whose::extensions : pg::Whose::users;
    auto call = [&] { return pg::call_as(saga.definition->owner, function, context, whose); };
    if (shares_subtransaction(*saga.definition)) return understand(call());
    Jsonb* answer = nullptr;
    std::optional<pg::Failure> failure = pg::attempt([&] { answer = call(); });
    if (!failure) return understand(answer);
    const char* what = pg::format("%s (%s)%s%s", pg::c_string(failure->message), pg::c_string(failure->sqlstate),
                                  failure->detail.empty() ? "" : ": ", pg::c_string(failure->detail));
    return {Said::failed, nullptr, 0, what};
}

std::int64_t hand_out(Instance& saga, std::int32_t i, const Work& work, std::string_view purpose) {
    Jsonb* payload = context_of(saga, i, purpose == "do" ? nullptr : saga.row(i).result, purpose);
    if (!work.request.empty()) {
        const Said said = call_function(saga, i, work.request, purpose == "do" ? nullptr : saga.row(i).result, purpose);
        if (said.what == Said::later) {
            purpose == "undo" ? postpone_undo(saga, i, said.error) : postpone_step(saga, i, said.error);
            return 0;
        }
        if (said.what != Said::done) {
            const bool may_pass = said.what == Said::retry || said.result == nullptr;
            purpose == "undo" ? undo_failed(saga, i, said.error, may_pass)
                              : step_failed(saga, i, said.error, may_pass, false);
            return 0;
        }
        if (said.result != nullptr) payload = said.result;
    }
    tasks::NewTask task{.queue = work.queue, .kind = work.task, .payload = payload};
    task.priority = work.priority;
    task.policy = work.retry;
    task.deadline_at = deadline_of(saga, work);
    task.step_id = saga.step_id(i);
    // One key for all attempts at one thing: what makes a repeated request harmless at a provider.
    const char* key =
        pg::format("saga-" INT64_FORMAT "-%.*s", saga.step_id(i), static_cast<int>(purpose.size()), purpose.data());
    task.provider_key = key;
    return tasks::create(task).value;
}

std::int64_t deadline_of(const Instance& saga, const Work& work) {
    if (work.deadline_ms != 0) return saga.now + work.deadline_ms * 1'000;
    return saga.status == SagaStatus::running ? saga.deadline_at : saga.now + default_deadline_ms * 1'000;
}

std::int64_t backoff_us(const Instance& saga, std::int32_t i, const core::RetryPolicy& policy, int attempts) {
    return core::backoff_ms(policy, attempts, static_cast<std::uint64_t>(saga.step_id(i))) * 1'000;
}

}  // namespace oms::saga
