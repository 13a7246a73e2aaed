test_that("each kind of condition has its two classes, topic and fields", {
  error <- tryCatch(pp_abort("group", "no", rows = 3L), error = identity)
  expect_s3_class(error, c("partialpool_error_group", "partialpool_error"))
  expect_identical(error$topic, "group")
  expect_identical(error$rows, 3L)
  warning <- tryCatch(pp_warn("scale", "hm"), warning = identity)
  expect_s3_class(warning, c("partialpool_warning_scale", "partialpool_warning"))
  message <- tryCatch(pp_inform("rank", "so"), message = identity)
  expect_s3_class(message, c("partialpool_message_rank", "partialpool_message"))
})

test_that("braces are evaluated where the condition is signalled", {
  f <- function() {
    g <- "school"
    pp_abort("group", c(x = "{.var {g}} fails.", i = "{length(g)} level{?s}."))
  }
  expect_error(f(), "`school` fails")
  expect_error(f(), "1 level\\.")
})

test_that("names with braces and symbols are shown as they are", {
  g <- "a{b} <c>"
  expect_error(pp_abort("group", "{.var {g}} fails."), "a{b} <c>", fixed = TRUE)
  expect_identical(suggest_name("a{c}", "a{b}"), c(">" = "Did you mean `a{{b}}`?"))
})

test_that("an error names the function that the user called", {
  error <- tryCatch(design(~x), error = identity)
  expect_match(paste(deparse(error$call), collapse = ""), "^design")
})

test_that("rows are listed, long lists cut", {
  expect_identical(describe_rows("7"), "row 7")
  expect_identical(describe_rows(c(3, 9)), "rows 3, 9")
  expect_identical(describe_rows(1:43), "rows 1, 2, 3, 4, 5 and 38 more")
})

test_that("a near name is suggested, a far one is not", {
  expect_match(suggest_name("Subjct", c("Days", "Subject")), "Subject")
  expect_null(suggest_name("qqq", c("Days", "Subject")))
  expect_null(suggest_name("x", character()))
})

test_that("the messages read well", {
  local_reproducible_output()
  d <- transform(sleepstudy, one = factor("a"), w = Days - 1)
  expect_snapshot(error = TRUE, {
    design(Reaction ~ Days + 1 | Subject, d)
    design(Reaction ~ Day + (1 | Subject), d)
    design(Reaction ~ Days + (1 | one), d)
    design(Reaction ~ (0 | Subject), d)
    design(Reaction ~ Days + (1 | Subject), d, weights = w)
    design(Reaction ~ log(Days) + (1 | Subject), d)
  })
  expect_snapshot({
    x <- design(Reaction ~ Days * Subject + (Days | Subject), d)
    x <- design(Reaction ~ Days + (1 | Subject) + (1 | Subject), d)
    x <- design(Reaction ~ Days + (factor(Days > 4) || Subject), d)
    x <- design(Reaction ~ Days + (1 | Subject), d, weights = Days)
  })
})
