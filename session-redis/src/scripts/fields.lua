local sub = string.sub

-- Whether the text begins as session-core's own spelling of a record does, its version included.
local function has_version(text)
  return sub(text, 1, 23) == '{"format":1,"version":"' and sub(text, 57, 71) == '","generation":'
end

-- A time of 15 characters; false for `null`, nil for what is neither.
local function time_at(text, at)
  local digits = sub(text, at, at + 14)
  if digits == '           null' then
    return false
  end
  return tonumber(digits)
end

