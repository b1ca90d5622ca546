// Memory: everything is palloc in a named context; a scope is a function that takes a callable.
//
// Lifetimes: without further words a function allocates in the caller's current context, which the executor resets after each
// call. What a session keeps lives in session_context() and is published only when it is complete.
#pragma once

#include <cstddef>
#include <cstring>
#include <span>
#include <string_view>

#include "pg/jump.hpp"
#include "pg/postgres.hpp"

namespace oms::pg {

// Runs `fn` with `context` as the current one. On error the switch back is skipped: the (sub)transaction's abort does it.
template <class Fn>
auto in_context(MemoryContext context, Fn&& fn) {
    MemoryContext outer = MemoryContextSwitchTo(context);
    if constexpr (std::is_void_v<decltype(fn())>) {
        fn();
        MemoryContextSwitchTo(outer);
    } else {
        auto result = fn();
        MemoryContextSwitchTo(outer);
        return result;
    }
}

// Allocates `count` values of a type that needs no constructor call beyond zeroing.
template <JumpSafe T>
std::span<T> allocate(std::size_t count) {
    return {static_cast<T*>(palloc0(sizeof(T) * (count == 0 ? 1 : count))), count};
}

// Copies a string without zeros into the current context, with a terminating zero behind it: for printf.
inline char* c_string(std::string_view text) { return pnstrdup(text.data(), text.size()); }

// Copies bytes, zeros among them, into the current context.
inline std::string_view copied(std::string_view bytes) {
    auto* copy = static_cast<char*>(palloc(bytes.size() + 1));
    std::memcpy(copy, bytes.data(), bytes.size());
    return {copy, bytes.size()};
}

// A growing array in the current context of its creation; the memory goes with the context.
template <JumpSafe T>
class Array {
  public:
    explicit Array(std::size_t capacity = 8) : items_(allocate<T>(capacity).data()), capacity_(capacity) {}

    void push(const T& item) {
        if (size_ == capacity_) {
            capacity_ *= 2;
            items_ = static_cast<T*>(repalloc(items_, capacity_ * sizeof(T)));
        }
        items_[size_++] = item;
    }
    std::size_t size() const { return size_; }
    T& operator[](std::size_t i) { return items_[i]; }
    const T& operator[](std::size_t i) const { return items_[i]; }
    T* begin() { return items_; }
    T* end() { return items_ + size_; }
    const T* begin() const { return items_; }
    const T* end() const { return items_ + size_; }
    std::span<T> span() { return {items_, size_}; }
    std::span<const T> span() const { return {items_, size_}; }

  private:
    T* items_;
    std::size_t capacity_;
    std::size_t size_ = 0;
};

// Gives back one allocation of a context that lives on.
inline void release(const void* memory) { pfree(const_cast<void*>(memory)); }

// The context for what lives as long as the session.
MemoryContext session_context();

// A context of its own for something that is kept and replaced as a whole.
MemoryContext new_session_context(const char* name);

// The same, but for now only as long-lived as the current context: what is put together here goes if an error comes, until it is kept.
MemoryContext new_context(const char* name);
void keep_context(MemoryContext context);

inline std::size_t bytes_of(MemoryContext context) { return MemoryContextMemAllocated(context, true); }

inline void drop_context(MemoryContext context) { MemoryContextDelete(context); }
// The same for one that somebody further out may still look into.
inline void drop_at_end_of_transaction(MemoryContext context) {
    MemoryContextSetParent(context, TopTransactionContext);
}

// Calls fn(item) for each item, in a context of its own that is emptied in between: what many of a command's parts need one after another does not
// add up, and is not asked of the system again and again.
template <class Items, class Fn>
void for_each_in_scratch(Items&& items, Fn&& fn) {
    constexpr Size room = Size{256} << 10;  // kept when the context is emptied
    MemoryContext scratch = AllocSetContextCreate(CurrentMemoryContext, "oms scratch", 0, room, Size{8} << 20);
    for (auto&& item : items) {
        in_context(scratch, [&] { fn(item); });
        MemoryContextReset(scratch);
    }
    MemoryContextDelete(scratch);
}

// Puts a copy of `value`, a varlena, where the session keeps one; the old copy goes. Published last: the allocation can raise.
template <class Varlena>
void replace_kept(Varlena*& kept, const Varlena* value) {
    std::size_t size = VARSIZE_ANY(value);
    auto* copy = static_cast<Varlena*>(std::memcpy(MemoryContextAlloc(session_context(), size), value, size));
    Varlena* old = kept;
    kept = copy;
    if (old != nullptr) pfree(old);
}

}  // namespace oms::pg
