-- What stands at the fixed offsets of a record in session-core's own spelling, of which `text` has
-- ten characters from OWNER_AT on: generation, accessed, timeout, ends, whether it has an owner.
-- Nothing for all other texts.
local function head_of(text)
  if not has_version(text) or sub(text, 82, 93) ~= ',"accessed":'
    or sub(text, ACCESSED_AT + 16, ACCESSED_AT + 26) ~= ',"expires":'
    or sub(text, EXPIRES_AT + 16, EXPIRES_AT + 26) ~= ',"timeout":'
    or sub(text, ENDS_AT - 7, ENDS_AT) ~= ',"ends":'
    or sub(text, ENDS_AT + 16, ENDS_AT + 26) ~= ',"data_at":' then
    return
  end
  local generation = tonumber(sub(text, 72, 81))
  local accessed = time_at(text, ACCESSED_AT + 1)
  local timeout, ends = time_at(text, EXPIRES_AT + 27), time_at(text, ENDS_AT + 1)
  local owned = sub(text, OWNER_AT + 1, OWNER_AT + 9) == '"owner":"'
  if not generation or not accessed or timeout == nil or ends == nil
    or not owned and sub(text, OWNER_AT + 1, OWNER_AT + 10) ~= '"created":' then
    return
  end
  return generation, accessed, timeout, ends, owned
end
