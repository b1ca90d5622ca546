// Taking arrays apart and putting them together.
#include "pg/arrays.hpp"

#include "pg/memory.hpp"

namespace oms::pg {

std::optional<std::span<const Datum>> array_elements(Datum array, Oid element_type) {
    ArrayType* values = DatumGetArrayTypeP(array);
    if (ARR_NDIM(values) > 1 || array_contains_nulls(values)) return std::nullopt;
    std::int16_t size;
    bool by_value;
    char alignment;
    get_typlenbyvalalign(element_type, &size, &by_value, &alignment);
    Datum* elements;
    int count;
    deconstruct_array(values, element_type, size, by_value, alignment, &elements, nullptr, &count);
    return std::span<const Datum>{elements, static_cast<std::size_t>(count)};
}

Datum array_datum(std::span<const Datum> elements, Oid element_type) {
    std::int16_t size;
    bool by_value;
    char alignment;
    get_typlenbyvalalign(element_type, &size, &by_value, &alignment);
    return PointerGetDatum(construct_array(const_cast<Datum*>(elements.data()), static_cast<int>(elements.size()), element_type,
                                           size, by_value, alignment));
}

Datum bigint_array_datum(std::span<const std::int64_t> numbers) {
    std::span<Datum> elements = allocate<Datum>(numbers.size());
    for (std::size_t i = 0; i < numbers.size(); ++i) elements[i] = Int64GetDatum(numbers[i]);
    return array_datum(elements, INT8OID);
}

}  // namespace oms::pg
