"""The answer that minimises each expected loss when the number of heads follows a known pmf."""

MODAL_BANDWIDTH = 0.5
"""h of the modal loss, in heads. Half the distance of two counts: the narrowest kernel under which two equally
likely neighbours still share one minimum, so that training cannot be caught between them"""
MODAL_PULL = 1e-3
"""weight of the half squared error in the modal loss: without it a prediction far from every count feels nothing"""
