# The rows under a term of several columns: what its coefficients, or the differences between its
# levels, are.

# list(L, labels) of one term: the row of the term first, with the label NA.
term_rows <- function(hypothesis, levels) {
  own <- hypothesis$L
  mean_row <- matrix(colMeans(own), 1L)
  if (nrow(own) == 1L || levels == "none") {
    return(list(L = mean_row, labels = NA_character_, weights = mean_weights(nrow(own))))
  }
  C <- factor_contrasts(hypothesis)
  weights <- if (levels == "pairwise" && !is.null(C)) pairwise_weights(C) else level_weights(C, own)
  list(
    L = rbind(mean_row, unname(weights %*% own)),
    labels = c(NA_character_, rownames(weights)),
    weights = rbind(mean_weights(nrow(own)), unname(weights))
  )
}

mean_weights <- function(k) matrix(1 / k, 1L, k)

# The matrix that gives the effects of the levels from the coefficients of a term of one factor:
# its contrasts, or the identity where each level has a column. NULL for other terms.
factor_contrasts <- function(hypothesis) {
  C <- hypothesis$coding$matrices[[plain_names(hypothesis$term)]]
  if (is.null(C)) {
    return(NULL)
  }
  k <- nrow(hypothesis$L)
  if (k == ncol(C)) {
    return(C)
  }
  if (k == nrow(C)) structure(diag(k), dimnames = list(rownames(C), NULL))
}

# Weights of the coefficients, with a name a row.
level_weights <- function(C, own) {
  k <- nrow(own)
  weights <- diag(k)
  rownames(weights) <- rownames(own)
  if (is.null(C)) {
    return(weights)
  }
  if (k == nrow(C)) {
    rownames(weights) <- rownames(C)
    return(weights)
  }
  if (ncol(C) < nrow(C) - 1L) {
    return(weights)
  }
  # What each coefficient is in terms of the means of the levels.
  meaning <- solve(cbind(1, C))[-1L, , drop = FALSE]
  named <- apply(meaning, 1L, meaning_label, levels = rownames(C))
  if (anyNA(named)) {
    return(weights)
  }
  rownames(weights) <- named
  about_mean <- grepl(" - mean$", named)
  if (all(about_mean)) {
    rest <- setdiff(paste(bracketed(rownames(C)), "- mean"), named)
    if (length(rest) == 1L) {
      weights <- rbind(weights, -1)
      rownames(weights)[k + 1L] <- rest
    }
  }
  weights
}

# "b - a" for a difference of two levels, "b - mean" for that from the mean of all, else NA.
meaning_label <- function(w, levels) {
  m <- length(w)
  near_to <- function(value) abs(w - value) < 1e-10
  if (sum(near_to(1)) == 1L && sum(near_to(-1)) == 1L && sum(near_to(0)) == m - 2L) {
    return(difference_label(levels[near_to(1)], levels[near_to(-1)]))
  }
  if (sum(near_to(1 - 1 / m)) == 1L && sum(near_to(-1 / m)) == m - 1L) {
    return(paste(bracketed(levels[near_to(1 - 1 / m)]), "- mean"))
  }
  NA_character_
}

# All differences between levels: the later one less the earlier.
pairwise_weights <- function(C) {
  pairs <- utils::combn(nrow(C), 2L)
  weights <- C[pairs[2L, ], , drop = FALSE] - C[pairs[1L, ], , drop = FALSE]
  rownames(weights) <- difference_label(rownames(C)[pairs[2L, ]], rownames(C)[pairs[1L, ]])
  weights
}

difference_label <- function(a, b) paste(bracketed(a), "-", bracketed(b))

# A level that could be read as a part of the difference.
bracketed <- function(level) ifelse(grepl("[-+ ]", level), paste0("(", level, ")"), level)
